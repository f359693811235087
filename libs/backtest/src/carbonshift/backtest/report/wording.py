"""Numbers and policies as a reader who knows nothing of us meets them; what has no value is a dash."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

__all__ = [
    "DASH",
    "EXPLAINED",
    "MINUS",
    "UNIT",
    "called",
    "count",
    "given",
    "hours",
    "leading",
    "magnitude",
    "money",
    "number",
    "percent",
    "percent_range",
    "plain",
    "result",
    "share",
    "share_range",
    "small_percent",
]

Interval = Sequence[float] | None

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
UNIT = "\N{NARROW NO-BREAK SPACE}"
"""Between a number and its unit."""
SIGNIFICANT = 3
MOST_DECIMALS = 9
NO_CENTS_FROM_USD = 10_000.0
NO_DECIMALS_FROM_SHARE = 10.0
CERTAIN = 1e-12
NOTHING = 5e-4
"""A smaller share is 0.0 %."""
LEAST_SHARE = 1e-6

EXPLAINED = {
    "run-now": "Starts at once and runs at full power: what most do.",
    "static-cap": "Starts at once under one power limit throughout, the best of all that keep the deadline.",
    "solar-window": "Runs in fixed hours of the day, whatever the prices.",
    "eco-pulse": "Runs while price and carbon are low beside their recent past, and pauses while they are high.",
    "eco-pulse-efficient": "The same, and never above the limit that takes the least energy for the work.",
    "planner": "Plans hours and power limits up to the deadline from what is known, and plans anew as it learns.",
    "planner-told": "The planner, told all coming prices and carbon intensities: the limit of better forecasts.",
    "oracle": "Perfect foresight: the cheapest schedule there is, found with the whole future known.",
}


def plain(text: object) -> str:
    """One line that any font shows: no control characters, no halves of a pair."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(str(text).split())
    )


def magnitude(values: Iterable[float | None]) -> float:
    """Of the largest of them: so that a column shows the same decimals in every row."""
    return max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)


def _signed(value: float, decimals: int, prefix: str = "", suffix: str = "") -> str:
    text = f"{abs(value):,.{decimals}f}"
    negative = value < 0 and any(digit in text for digit in "123456789")
    return f"{MINUS if negative else ''}{prefix}{text}{suffix}"


def _decimals(scale: float, wanted: int) -> int:
    """`wanted` ones, or more where a small scale needs them."""
    if scale <= 0 or scale >= 1:
        return wanted
    return min(max(wanted, SIGNIFICANT - 1 - math.floor(math.log10(scale))), MOST_DECIMALS)


def money(usd: float | None, scale: float | None = None) -> str:
    """USD, with the decimals that `scale`, the magnitude of its column, needs."""
    if usd is None or not math.isfinite(usd):
        return DASH
    scale = abs(usd) if scale is None else scale
    return _signed(usd, 0 if scale >= NO_CENTS_FROM_USD else _decimals(scale, 2), "$")


def number(value: float | None, scale: float | None = None) -> str:
    """Any other quantity, to about three digits of `scale`."""
    if value is None or not math.isfinite(value):
        return DASH
    scale = abs(value) if scale is None else scale
    return _signed(value, 0 if scale >= 1_000 else _decimals(scale, 1 if scale >= 10 else 2))  # noqa: PLR2004


def count(value: float | None) -> str:
    """A whole number."""
    return DASH if value is None else f"{value:,.0f}"


def hours(value: float | None) -> str:
    """Hours, with one decimal."""
    return DASH if value is None or not math.isfinite(value) else _signed(value, 1)


def _percent(value: float, decimals: int, unit: str) -> str:
    return _signed(value * 100.0, decimals, suffix=unit)


def _percent_decimals(*values: float) -> int:
    return 0 if magnitude(values) >= NO_DECIMALS_FROM_SHARE else 1


def percent(value: float | None) -> str:
    """A share in per cent."""
    if value is None or not math.isfinite(value):
        return DASH
    return _percent(value, _percent_decimals(value), f"{UNIT}%")


def small_percent(value: float | None) -> str:
    """A share that may be far below one per cent, to two digits."""
    if value is None or not math.isfinite(value):
        return DASH
    if value < LEAST_SHARE:
        return f"less than {LEAST_SHARE * 100.0:.4f}{UNIT}%"
    return f"{Decimal(f'{value * 100.0:.2g}'):f}{UNIT}%"


def given(value: float) -> str:
    """A quantity as a user gave it: with no more decimals than it has."""
    return f"{value:,.10g}"


def percent_range(interval: Interval) -> str:
    """From and to, in per cent."""
    if interval is None:
        return DASH
    low, high = interval
    decimals = _percent_decimals(low, high)
    return f"{_percent(low, decimals, '')} to {_percent(high, decimals, UNIT + '%')}"


def _share_decimals(*values: float) -> int:
    return 2 if magnitude(values) < 10 else 0  # noqa: PLR2004


def share(value: float | None) -> str:
    """A share of 1."""
    return DASH if value is None or not math.isfinite(value) else _signed(value, _share_decimals(value))


def share_range(interval: Interval) -> str:
    """From and to, as shares of 1."""
    if interval is None:
        return DASH
    decimals = _share_decimals(*interval)
    low, high = (_signed(value, decimals) for value in interval)
    return f"{low} to {high}"


def leading(tape: Mapping[str, Any]) -> str:
    """The policy that the report is about: the planner, or else the last that does not know the future."""
    names: list[str] = list(tape["pooled"])
    if "planner" in names:
        return "planner"
    return next((name for name in reversed(names) if name not in {"oracle", "planner-told"}), names[-1])


def called(name: str) -> str:
    """A policy within a sentence."""
    names = {"planner": "the planner", "static-cap": "the best static cap", "run-now": "running at once"}
    return names.get(name, f"the policy {plain(name)}")


def _against(pooled: Mapping[str, Any], name: str, other: str, key: str) -> tuple[str, str]:
    """What the policy did, and beside what."""
    row, beside = pooled[name], called(other)
    saved, interval = row[key], row[f"{key}_interval"]
    if saved is None:
        if row["unfinished"] or pooled[other]["unfinished"]:
            return "cannot be set", f"beside {beside}"
        difference = pooled[other]["total_usd"] - row["total_usd"]
        return "was", f"{money(abs(difference))} {'cheaper' if difference >= 0 else 'dearer'} than {beside}"
    wide = interval is not None and interval[1] - interval[0] > CERTAIN
    if abs(saved) < NOTHING and not wide:
        return "saved", f"nothing against {beside}"
    costs = saved < 0
    around = ""
    if interval is not None and wide:
        low, high = (-interval[1], -interval[0]) if costs else interval
        chance = ", so it may be chance" if low < 0 < high else ""
        around = f" (95{UNIT}% interval {percent_range((low, high))}{chance})"
    verb, link = ("cost", "more than") if costs else ("saved", "against")
    return verb, f"{percent(abs(saved))} {link} {beside}{around}"


def result(tape: Mapping[str, Any]) -> str:
    """What came out of one tape, in one sentence."""
    pooled, name = tape["pooled"], leading(tape)
    others = {"static-cap": "saved_share_of_cap", "run-now": "saved_share_of_run_now"}
    parts: list[str] = []
    before = ""
    for other, key in others.items():
        if other != name:
            verb, rest = _against(pooled, name, other, key)
            parts.append(rest if verb == before else f"{verb} {rest}")
            before = verb
    sentence = f"{called(name)} {' and '.join(parts)}"
    if (best := pooled.get("oracle")) and all(best[key] is not None for key in others.values()):
        shares = [percent(best[key]) for key in others.values()]
        sentence += f"; perfect foresight would have saved {' and '.join(shares)}"
    elif before == "was":
        sentence += ", in dollars because a total at or below zero has no per cent"
    return f"{sentence[0].upper()}{sentence[1:]}."
