"""Figures as they are shown: rounded once, so that what is said and what is recorded are the same. Pure."""

import re
from collections.abc import Mapping
from datetime import timedelta

__all__ = ["duration", "grouped", "rounded", "ungrounded"]

LARGEST_WITH_CENTS = 10.0
FIGURE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}:\d{2}|(?<![\w.])-?\$?\d[\d,]*(?:\.\d+)?")


def rounded(*values: float) -> tuple[float, ...]:
    """The values to whole units; to hundredths where one is small or two would come out as the same."""
    whole = [round(value) + 0.0 for value in values]  # + 0.0: a zero has no sign
    small = any(0 < abs(value) < LARGEST_WITH_CENTS for value in values)
    if small or len(set(whole)) < len(set(values)):
        return tuple(round(value, 2) + 0.0 for value in values)
    return tuple(whole)


def grouped(value: float) -> str:
    """A figure that was rounded: 1,179 or 4.50."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def duration(length: timedelta) -> str:
    """As people say it: `95 minutes` up to two hours, then `3 h 20 min`, from two days on `2 d 4 h`."""
    minutes = max(0, round(length / timedelta(minutes=1)))
    if minutes < 120:  # noqa: PLR2004
        return "1 minute" if minutes == 1 else f"{minutes} minutes"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def ungrounded(text: str, facts: Mapping[str, float | str | None]) -> tuple[str, ...]:
    """The numbers, clock times and dates in `text` that are no fact, as they stand there; empty is good.

    A number is a fact when it equals one of the values, or stands in one of the texts. Its sign counts.
    """
    known: set[float | str] = set()
    for value in facts.values():
        if isinstance(value, str):
            known.update(map(_reading, FIGURE.findall(value)))
        elif value is not None:
            known.add(float(value))
    return tuple(figure for figure in FIGURE.findall(text) if _reading(figure) not in known)


def _reading(figure: str) -> float | str:
    """A clock time or a date as it stands, a number as its value."""
    plain = figure.replace("$", "").replace(",", "")
    return plain if ":" in plain or "-" in plain[1:] else float(plain)
