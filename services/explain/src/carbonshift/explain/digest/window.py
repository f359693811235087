"""The stretch of so many hours in which a value is lowest. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Window", "lowest_window"]


@dataclass(frozen=True, slots=True)
class Window:
    """Whole intervals, one after the other."""

    start: datetime
    end: datetime
    mean: float
    """Weighted by their lengths, in the unit of the value."""


def lowest_window(values: Iterable[tuple[datetime, datetime, float | None]], seconds: float) -> Window | None:
    """The first of the lowest windows of at least `seconds`; None where none is as long without a gap.

    Args:
        values: start, end and value of each interval, rising and not overlapping; None = not known, which is a gap.
        seconds: above 0.
    """
    windows = (window for run in _unbroken(values) for window in _windows(run, seconds))
    return min(windows, key=lambda window: window.mean, default=None)


def _unbroken(
    values: Iterable[tuple[datetime, datetime, float | None]],
) -> Iterator[list[tuple[datetime, datetime, float]]]:
    run: list[tuple[datetime, datetime, float]] = []
    for start, end, value in values:
        if value is None or (run and run[-1][1] != start):
            yield run
            run = []
        if value is not None:
            run.append((start, end, value))
    yield run


def _windows(run: list[tuple[datetime, datetime, float]], seconds: float) -> Iterator[Window]:
    """Of each interval the window that begins with it: as few intervals as will do."""
    last, held, sums = -1, 0.0, 0.0
    for start, end, value in run:
        while held < seconds and last + 1 < len(run):
            last += 1
            length = (run[last][1] - run[last][0]).total_seconds()
            held += length
            sums += length * run[last][2]
        if held < seconds:
            return
        yield Window(start, run[last][1], sums / held)
        length = (end - start).total_seconds()
        held -= length
        sums -= length * value
