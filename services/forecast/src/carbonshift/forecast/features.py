"""What the past of two signals says about one value ahead, as the columns of a regression. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from carbonshift.forecast.forecaster import Array

__all__ = ["Calendar", "Features", "Grid"]

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600
WEEK_DAYS = 7
SATURDAY = 5
DAILY_HARMONICS = 4
SHARED_HARMONICS = 2
"""Of the day, with which what is unusual now counts more or less."""
STILL = 0.01
"""A move, in the scaled unit, of a signal that stands still: its logarithm must not go to minus infinity."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Regular intervals, and how many of them make an hour, a day, and the days that are looked back."""

    step_seconds: int
    days: int
    """How many days a usual day is the mean of."""

    @property
    def hour(self) -> int:
        """Intervals of an hour, at least 1."""
        return max(1, HOUR_SECONDS // self.step_seconds)

    @property
    def day(self) -> int:
        """Intervals of a day."""
        return max(1, round(DAY_SECONDS / self.step_seconds))

    @property
    def reach(self) -> int:
        """The earliest interval from which all is known that is looked at."""
        return self.days * self.day + self.hour


class Calendar:
    """Local time of day and weekend of each interval: people get up by the clock on their wall."""

    def __init__(self, start: int, size: int, step_seconds: int, time_zone: str) -> None:
        """Those of `size` intervals, the first of which starts at the Unix second `start`."""
        seconds = start + step_seconds * np.arange(size)
        local = seconds + _offsets_seconds(seconds, ZoneInfo(time_zone))
        self.angle: Array = 2 * np.pi * (local % DAY_SECONDS) / DAY_SECONDS
        """Of the shape (size,)."""
        self.weekend: Array = ((local // DAY_SECONDS + 3) % WEEK_DAYS >= SATURDAY).astype(np.float64)
        """1 on Saturdays and Sundays; the first day of the Unix epoch was a Thursday."""


class Features:
    """The columns of one signal for forecasts from each of some origins, the last of which is now.

    An origin is the number of the first interval that is not known from there.
    """

    def __init__(self, own: Array, other: Array, calendar: Calendar, grid: Grid, origins: Numbers) -> None:
        """Look at the past.

        Args:
            own: shape (n,), scaled, without a gap: what is forecast.
            other: of the same shape: the other signal.
            calendar: of n intervals and of all that lie ahead.
            grid: the intervals.
            origins: shape (rows,), each from grid.reach to n.
        """
        self._own, self._other, self._calendar, self._grid, self._origins = own, other, calendar, grid, origins
        self._sums, self._other_sums = _sums(own), _sums(other)
        self._move_sums = _sums(np.abs(np.diff(own, prepend=own[0])))
        self._half = grid.hour // 2
        self._from_origin = self._columns_of_origin()

    def toward(self, lead: int) -> Array:
        """The columns for the value `lead` >= 1 intervals ahead, shape (rows, columns); the first one is constant."""
        origins, day = self._origins, self._grid.day
        target = origins - 1 + lead
        back = target - -(-lead // day) * day
        """The same time of day, as lately as it is known."""
        earlier = [back - number * day for number in range(max(1, self._grid.days - (lead - 1) // day))]
        columns = [
            self._own[back],
            self._own[np.maximum(back - day, 0)],
            self._own[np.maximum(earlier[-1], 0)],
            self._around(self._sums, back),
            np.mean([self._own[np.maximum(at, 0)] for at in earlier], axis=0),
            np.mean([self._around(self._sums, at) for at in earlier], axis=0),
            self._other[back],
            np.log(self._around(self._move_sums, back) + STILL),
        ]
        angle = self._calendar.angle[target]
        waves = [wave(number * angle) for number in range(1, DAILY_HARMONICS + 1) for wave in (np.sin, np.cos)]
        weekend, weekend_back = self._calendar.weekend[target], self._calendar.weekend[back]
        shared = [unusual * wave for unusual in self._unusual for wave in waves[: 2 * SHARED_HARMONICS]]
        calendar = [*waves, weekend, weekend_back, weekend * waves[0], weekend * waves[1]]
        return np.hstack((self._from_origin, np.stack([*columns, *calendar, *shared], axis=1)))

    def _columns_of_origin(self) -> Array:
        own, other, origins = self._own, self._other, self._origins
        hour, day, days = self._grid.hour, self._grid.day, self._grid.days
        last = origins - 1
        usual = np.mean([self._around(self._sums, last - number * day) for number in range(1, days + 1)], axis=0)
        recent = self._mean(self._sums, max(self._half, 1))
        now = self._mean(self._sums, 3 * hour)
        then = np.mean([self._mean(self._sums, 3 * hour, number * day) for number in range(1, days)] or [now], axis=0)
        self._unusual = recent - usual, now - then
        columns = [
            np.ones(origins.size),
            own[last],
            own[last - 1],
            own[np.maximum(last - 2, 0)],
            recent,
            self._mean(self._sums, hour),
            now,
            self._mean(self._sums, 6 * hour),
            self._mean(self._sums, day),
            self._mean(self._sums, days * day),
            own[last - day],
            self._around(self._sums, last - day),
            usual,
            self._unusual[1],
            other[last],
            other[last - 1],
            self._mean(self._other_sums, 3 * hour),
            self._mean(self._other_sums, day),
            other[last - day],
            np.log(self._mean(self._move_sums, hour) + STILL),
            np.log(self._mean(self._move_sums, day) + STILL),
        ]
        return np.stack(columns, axis=1)

    def _mean(self, sums: Array, count: int, before: int = 0) -> Array:
        """Of the last `count` values that end `before` intervals before each origin."""
        end = self._origins - before
        start = np.maximum(end - count, 0)
        means: Array = (sums[end] - sums[start]) / np.maximum(end - start, 1)
        return means

    def _around(self, sums: Array, at: Numbers) -> Array:
        """The mean of an hour about each interval, as far as it is known from the origin."""
        start, end = np.maximum(at - self._half, 0), np.clip(at + self._half + 1, 1, self._origins)
        means: Array = (sums[end] - sums[start]) / np.maximum(end - start, 1)
        return means


def _sums(values: Array) -> Array:
    return np.concatenate(([0.0], np.cumsum(values)))


def _offsets_seconds(seconds: Numbers, zone: ZoneInfo) -> Array:
    """How far the local clock is ahead of UTC at each Unix second: asked by the day, by the hour on one of change."""

    def looked_up(moments: Numbers, length: int) -> Array:
        of_moments = (datetime.fromtimestamp(int(moment) * length, UTC).astimezone(zone) for moment in moments)
        return np.array([(one.utcoffset() or timedelta(0)).total_seconds() for one in of_moments])

    days, of_which = np.unique(seconds // DAY_SECONDS, return_inverse=True)
    begin, end = looked_up(days, DAY_SECONDS), looked_up(days + 1, DAY_SECONDS)
    offsets = begin[of_which]
    changes = (begin != end)[of_which]
    hours, of_which_hour = np.unique(seconds[changes] // HOUR_SECONDS, return_inverse=True)
    if hours.size:
        offsets[changes] = looked_up(hours, HOUR_SECONDS)[of_which_hour]
    return offsets
