"""What stands in for a missing value: the last one for a while, then a straight line once the end is known. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import Quality
from carbonshift.ingest.cleaning.series import Flags, Series, Values

__all__ = ["NEVER", "QUALITIES", "Column", "filled"]

QUALITIES = tuple(Quality)
OBSERVED, ESTIMATED, INTERPOLATED, HELD, MISSING = (
    QUALITIES.index(quality)
    for quality in (Quality.OBSERVED, Quality.ESTIMATED, Quality.INTERPOLATED, Quality.HELD, Quality.MISSING)
)
NEVER = np.iinfo(np.int64).max

Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One signal without holes, where that is honest; arrays of shape (n,)."""

    first: Values
    """As each value could be told when its interval had passed; NaN = missing."""
    first_quality: Codes
    """Positions in `QUALITIES`."""
    final: Values
    """As it can be told now: gaps whose end is known are on their line."""
    final_quality: Codes
    closed_at: NDArray[np.int64]
    """Position of the value that closed the gap a place lies in; NEVER where none did."""
    stale: Flags
    """Missing in `first`: what came last, if anything did, is too old to stand in."""


def filled(series: Series, trusted: Flags, hold_steps: int, longest_gap: int) -> Column:
    """The column of `series`.

    Held is the last trusted value, for at most `hold_steps` intervals. A line goes over at most `longest_gap` intervals
    and only from one observed and trusted value straight to the next: an estimate, or a value that something speaks
    against, is no end of one.

    Args:
        series: n values; NaN = missing.
        trusted: where nothing speaks against the value.
        hold_steps: intervals; 0 = nothing is held.
        longest_gap: intervals; 0 = no line is drawn.
    """
    missing = np.isnan(series.values)
    numbers = np.arange(missing.size)
    last = np.maximum.accumulate(np.where(trusted & ~missing, numbers, -1))
    age = numbers - last
    held = missing & (last >= 0) & (age <= hold_steps)
    first = np.where(held, series.values[np.maximum(last, 0)], series.values)
    quality = np.where(series.estimated, ESTIMATED, OBSERVED).astype(np.uint8)
    quality[missing] = MISSING
    quality[held] = HELD
    final, final_quality = first.copy(), quality.copy()
    closed_at = np.full(missing.size, NEVER, dtype=np.int64)
    ends = trusted & ~missing & ~series.estimated
    for begin, after in _gaps(missing):
        if begin == 0 or after == missing.size or after - begin > longest_gap or not (ends[begin - 1] and ends[after]):
            continue
        line = np.linspace(series.values[begin - 1], series.values[after], after - begin + 2)
        final[begin:after] = line[1:-1]
        final_quality[begin:after] = INTERPOLATED
        closed_at[begin:after] = after
    return Column(
        first=first,
        first_quality=quality,
        final=final,
        final_quality=final_quality,
        closed_at=closed_at,
        stale=missing & ~held,
    )


def _gaps(missing: Flags) -> list[tuple[int, int]]:
    """First position of each gap, and the one after its last."""
    edges = np.diff(np.concatenate(([False], missing, [False])).astype(np.int8))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))
