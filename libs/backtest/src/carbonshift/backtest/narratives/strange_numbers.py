"""The numbers in a text that no fact has: a second look, that shares nothing with explain's verification. Pure."""

import re
from collections.abc import Mapping

__all__ = ["strange_numbers"]

NUMBER = re.compile(r"\d\d:\d\d|\d{4}-\d\d-\d\d|(?<![\w.])\d[\d,]*(?:\.\d+)?")
PAIRS = (
    ("price_usd_per_mwh", "price_before_usd_per_mwh"),
    ("carbon_g_per_kwh", "carbon_before_g_per_kwh"),
    ("score", "score_before"),
)


def strange_numbers(text: str, facts: Mapping[str, float | str | None]) -> tuple[str, ...]:
    """Those that are neither a fact, rounded as they are written, nor what a signal has moved by."""
    stamps = {stamp for value in facts.values() if isinstance(value, str) for stamp in NUMBER.findall(value)}
    values = [abs(value) for value in facts.values() if isinstance(value, float | int)]
    values += [float(stamp.replace(",", "")) for stamp in stamps if not re.search("[:-]", stamp)]
    values += [move for now, before in PAIRS for move in _moves(facts.get(now), facts.get(before))]
    return tuple(
        number
        for number in NUMBER.findall(text)
        if number not in stamps and (re.search("[:-]", number) or not _among(number, values))
    )


def _moves(now: float | str | None, before: float | str | None) -> tuple[float, ...]:
    """In its unit, and in percent."""
    if not isinstance(now, float | int) or not isinstance(before, float | int):
        return ()
    move = abs(now - before)
    return (move, 100 * move / abs(before)) if before else (move,)


def _among(number: str, values: list[float]) -> bool:
    written = float(number.replace(",", ""))
    half = 0.5 * 10.0 ** -len(number.partition(".")[2])
    return any(abs(written - value) <= half + 1e-9 for value in values)
