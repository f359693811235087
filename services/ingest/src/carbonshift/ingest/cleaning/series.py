"""Readings on the grid of the ticks: late, doubled and shuffled ones in their places, longer steps spread. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from carbonshift.ingest.reading import Reading

__all__ = ["Flags", "Series", "Values", "joined", "placed"]

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Series:
    """One signal, one place an interval of the grid; both arrays of shape (n,)."""

    values: Values
    """In the unit of the signal; NaN = no reading, or one that says there is no value."""
    estimated: Flags
    """Where the provider calls its own value an estimate."""

    def __len__(self) -> int:
        return int(self.values.size)

    def __getitem__(self, part: slice) -> "Series":
        return Series(self.values[part], self.estimated[part])


def placed(
    readings: Iterable[Reading], reading_seconds: int, start: datetime, count: int, interval_seconds: int
) -> Series:
    """The readings on the grid of `count` intervals from `start`.

    A reading stands in every interval that begins within its own `reading_seconds`; of two in one place the one that
    comes later in `readings` counts, and None never displaces a value. What lies off the grid, or beside the stretch,
    is left out.

    Args:
        readings: in any order.
        reading_seconds: length of the interval that one reading is of; a multiple of `interval_seconds`, or shorter,
            and then only readings at the beginning of an interval of the grid count.
        start: beginning of the first interval, UTC.
        count: of the grid.
        interval_seconds: of the grid.
    """
    values = np.full(count, np.nan)
    estimated = np.zeros(count, dtype=np.bool_)
    width = max(1, reading_seconds // interval_seconds)
    for reading in readings:
        at, off = divmod((reading.interval_start - start).total_seconds(), interval_seconds)
        first, after = max(0, int(at)), min(count, int(at) + width)
        if off or first >= after or reading.value is None:
            continue
        values[first:after] = reading.value
        estimated[first:after] = reading.estimated
    return Series(values, estimated)


def joined(before: Series, after: Series) -> Series:
    """One behind the other."""
    return Series(np.concatenate((before.values, after.values)), np.concatenate((before.estimated, after.estimated)))
