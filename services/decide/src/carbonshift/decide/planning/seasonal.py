"""The coming days of one signal, expected from its own past: hour of day, hour of week, level, what it did lately.

Works on y = asinh(x / scale), which is a logarithm for large values and takes negative ones. An expectation is the sum
of

- a prior, made of exponentially weighted means of the same hour on earlier days and of earlier weeks, of the level of
  the last day and of the last six hours' difference from the usual;
- a ridge regression on what the prior missed, one for each stage ahead, refitted once a week;
- the exponentially weighted mean of what was still missed.

What is told so is a typical value and not a mean: of a price that can rise a hundredfold in a scarcity, the tail is in
none of it. So while the last day lies well above its week, a premium is added to every later value: whoever waits for
a price to fall is short of scarcity.

Event by event: a value is heard once, in order; the same values give the same expectation to the last bit, whether
heard in a service, through a restart or in a backtest.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.errors import UnplannableError

__all__ = ["Clock", "Seasonal"]

Floats = NDArray[np.float64]

DAY_SECONDS = 86_400
STAGE_SECONDS = 3_600
"""Expectations are means of stages about as long as this: an hour."""
HORIZON_SECONDS = 73 * 3_600
"""What lies beyond is as the last day of it."""
LEVELS_DAYS = (1, 7, 28)
RECENT_STAGES = 6
CHAINS = MappingProxyType({"fast": (0.4, 1), "slow": (0.1, 1), "weekly": (0.3, 7)})
"""Weight of the newest value, and how many days lie between the values."""
FIRST_LEARNT_DAYS = 3
REFIT_DAYS = 7
WEEKS_BEFORE_FIT = 2
FORGETTING = 0.98
"""Of the regression, a week."""
RIDGE = 48.0
MISSED_WEIGHT = 0.0015
"""Of a new stage in the means of what was missed: they reach back a month."""
ABOVE_ALL_SEEN = 0.7
"""How far an expectation may lie above everything heard, in y: a factor of two for large values."""
LARGEST_Y = 8.0
PREMIUM_FROM = 0.3
"""How far the last day must lie above its week, in y, for a premium."""
FEATURES = 11
FIELDS = 10
Y, FAST, SLOW, WEEKLY, DAY, WEEK, MONTH, ODD, RECENT, X = range(FIELDS)
"""What is kept of each step of the last week: its y, the means up to it, and the value itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The steps of a signal, and the stages in which it is looked ahead."""

    step_seconds: int
    time_zone: str = "UTC"
    """IANA name of the local clock: weekends are another matter."""

    def __post_init__(self) -> None:
        if self.step_seconds <= 0 or DAY_SECONDS % self.step_seconds:
            raise UnplannableError(f"steps of {self.step_seconds} s do not make a day", "plan on steps that do")

    @property
    def day(self) -> int:
        """Steps of a day."""
        return DAY_SECONDS // self.step_seconds

    @property
    def stage(self) -> int:
        """Steps of a stage."""
        return -(-STAGE_SECONDS // self.step_seconds)

    @property
    def stages(self) -> int:
        """How many stages are looked ahead."""
        return -(-HORIZON_SECONDS // (self.stage * self.step_seconds))

    def unrolled(self, stages: int) -> NDArray[np.intp]:
        """Which stage stands for each of so many: beyond the last one the last day of them repeats itself."""
        numbers = np.arange(stages)
        of_a_day = max(DAY_SECONDS // (self.stage * self.step_seconds), 1)
        beyond = numbers - self.stages
        return np.where(beyond < 0, numbers, self.stages - of_a_day + beyond % of_a_day)


class Seasonal:
    """One signal: `hear` each step, then `expect`. Grows with the number of steps a day, not with time."""

    def __init__(self, clock: Clock, scale: float, *, scarcity: bool) -> None:
        """Nothing heard yet.

        Args:
            clock: the steps.
            scale: up to about here the signal is as it is, beyond it its logarithm counts; in its unit.
            scarcity: whether its tail is to be feared: a price, not a carbon intensity.
        """
        day, stage, stages = clock.day, clock.stage, clock.stages
        self._clock, self._scale, self._scarcity = clock, scale, scarcity
        self._zone = ZoneInfo(clock.time_zone)
        self._kept = 7 * day + 1
        self._past = np.zeros((FIELDS, self._kept))
        self._month_y = np.zeros(LEVELS_DAYS[-1] * day)
        self._ahead = np.arange(1, stages + 1) * stage
        self._day_back = -(-self._ahead // day) * day
        self._week_back = -(-self._ahead // (7 * day)) * 7 * day
        self._weekend_until = self._ahead[-1] + 1
        self._weekends = np.zeros((2, 8 * day + int(self._weekend_until)))
        self._fade = 0.6 * 0.9 ** np.arange(1, stages + 1)
        self._sums = np.zeros(len(LEVELS_DAYS) + 2)
        self._highest_y = -np.inf
        self._gram = np.zeros((stages, FEATURES, FEATURES))
        self._moment = np.zeros((stages, FEATURES))
        self._weights = np.zeros((stages, FEATURES))
        self._missed = np.zeros(stages)
        self._missed_square = np.full(stages, 0.09)
        self._heard = 0
        self._newest = 0

    @property
    def newest(self) -> int | None:
        """Unix second of the newest step's start; None before the first."""
        return self._newest if self._heard else None

    def value_at(self, starts: NDArray[np.int64]) -> Floats:
        """What was heard of the steps that start then; none may be newer than the newest or older than a week."""
        steps = self._heard - 1 - (self._newest - starts) // self._clock.step_seconds
        values: Floats = self._past[X, steps % self._kept]
        return values

    def hear(self, start: int, value: float | None) -> None:
        """Take the next step in.

        A step that is not newer than the newest changes nothing; one that leaves others out makes them missing; a
        missing one counts as it was expected from the day before, and teaches nothing.

        Args:
            start: unix second of its start.
            value: of the signal; None = missing.
        """
        step = self._clock.step_seconds
        if not self._heard:
            if value is None:
                return
            self._newest = start - step
        if start <= self._newest:
            return
        if start > self._newest + self._kept * step:
            self._heard = 0  # all that it knew is older than anything it looks at
            self.hear(start, value)
            return
        while self._newest + step < start:
            self._next(None)
        self._next(value)

    def expect(self, nodes: Floats) -> Floats:
        """The stages after the newest step, in the signal's unit. At least one step must have been heard.

        Args:
            nodes: shape (k,): how many times what is usually missed at such a distance lies above the expectation.

        Returns: shape (stages, k).
        """
        now = self._heard - 1
        prior, features = self._view(now, np.zeros_like(self._ahead))
        expected = prior + _dot(features, self._weights) + self._missed
        spread = expected[:, None] + nodes * np.sqrt(self._missed_square)[:, None]
        spread = np.clip(np.minimum(spread, self._highest_y + ABOVE_ALL_SEEN), -LARGEST_Y, LARGEST_Y)
        values: Floats = self._scale * np.sinh(spread)
        if self._scarcity:
            y, day, week = self._past[[Y, DAY, WEEK], now % self._kept]
            values += max(max(day - week, 0.0) - PREMIUM_FROM, 0.0) * abs(self._scale * np.sinh(y))
        return values

    def _next(self, value: float | None) -> None:
        now = self._heard
        past, kept, day = self._past, self._kept, self._clock.day
        at = now % kept
        yesterday = (now - day) % kept
        if now == 0:
            assert value is not None  # noqa: S101  # what `hear` sees to
            self._begin(value)
        known = value is not None
        x = value if value is not None else self._scale * float(np.sinh(past[FAST, yesterday]))
        leaving_x = past[X, (now - self._clock.stage) % kept]
        leaving_y = {days: self._month_y[(now - days * day) % self._month_y.size] for days in LEVELS_DAYS}
        old_odd = past[ODD, (now - RECENT_STAGES * self._clock.stage) % kept]
        past[X, at] = x
        hour = self._mean(0, x, leaving_x, now, self._clock.stage)
        y = float(np.arcsinh(hour / self._scale))
        past[Y, at] = self._month_y[now % self._month_y.size] = y
        for field, (weight, days) in zip((FAST, SLOW, WEEKLY), CHAINS.values(), strict=True):
            before = past[field, (now - days * day) % kept] if now >= days * day else y
            past[field, at] = before + weight * (y - before)
        for number, (field, days) in enumerate(zip((DAY, WEEK, MONTH), LEVELS_DAYS, strict=True), start=1):
            past[field, at] = self._mean(number, y, leaving_y[days], now, days * day)
        odd = y - past[SLOW, yesterday] if now >= day else 0.0
        past[ODD, at] = odd
        past[RECENT, at] = self._mean(4, odd, old_odd, now, RECENT_STAGES * self._clock.stage)
        self._highest_y = max(self._highest_y, y)
        self._newest += self._clock.step_seconds
        self._heard += 1
        self._look_up_weekday(now + int(self._weekend_until))
        if (now + 1) % self._clock.stage == 0:
            if known:
                self._learn(now, y)
            if (now + 1) % (REFIT_DAYS * day) == 0:
                self._refit()

    def _begin(self, value: float) -> None:
        y = float(np.arcsinh(value / self._scale))
        self._past[[Y, FAST, SLOW, WEEKLY, DAY, WEEK, MONTH]] = y
        self._past[[ODD, RECENT]] = 0.0
        self._sums[:] = 0.0
        self._highest_y = -np.inf
        for ahead in range(int(self._weekend_until)):
            self._look_up_weekday(ahead)

    def _mean(self, number: int, value: float, leaving: float, now: int, steps: int) -> float:
        """Of the last `steps` values, or of all where there are fewer."""
        self._sums[number] += value - (leaving if now >= steps else 0.0)
        return float(self._sums[number]) / min(now + 1, steps)

    def _look_up_weekday(self, step: int) -> None:
        seconds = self._newest + (step - self._heard + 1) * self._clock.step_seconds
        weekday = datetime.fromtimestamp(seconds, UTC).astimezone(self._zone).weekday()
        self._weekends[:, step % self._weekends.shape[1]] = weekday >= 5, weekday == 6  # noqa: PLR2004  # Saturday on

    def _view(self, now: int, origin_back: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """The prior of each stage (stages,), and its features (stages, FEATURES), seen from `now - origin_back`."""
        past, kept = self._past, self._kept
        origin = now - origin_back
        target = origin + self._ahead
        same_hour, same_week = (target - self._day_back) % kept, (target - self._week_back) % kept
        y, fast, slow = past[Y, same_hour], past[FAST, same_hour], past[SLOW, same_hour]
        weekly = past[WEEKLY, same_week]
        day, week, month, odd, recent = past[DAY : RECENT + 1, origin % kept]
        prior = 0.5 * fast + 0.35 * slow + 0.15 * weekly + 0.3 * (day - month) + self._fade * recent
        width = self._weekends.shape[1]
        weekend, sunday = self._weekends[:, target % width] - self._weekends[:, (target - self._day_back) % width]
        features = (y - month, fast - month, slow - month, weekly - month, day - month, week - month, odd, recent)
        return prior, np.stack((np.ones_like(y), *features, weekend, sunday), axis=1)

    def _learn(self, now: int, y: float) -> None:
        """What each stage ahead would have been expected to be by now, and how far off that was."""
        prior, features = self._view(now, self._ahead)
        seen = now - self._ahead >= FIRST_LEARNT_DAYS * self._clock.day
        off = np.where(seen, y - prior, 0.0)
        features[~seen] = 0.0
        self._gram += features[:, :, None] * features[:, None, :]
        self._moment += features * off[:, None]
        left = off - _dot(features, self._weights)
        still = np.where(seen, left - self._missed, 0.0)
        self._missed_square += np.where(seen, MISSED_WEIGHT * (still**2 - self._missed_square), 0.0)
        self._missed += MISSED_WEIGHT * still

    def _refit(self) -> None:
        if self._heard >= WEEKS_BEFORE_FIT * REFIT_DAYS * self._clock.day:
            ridged = self._gram + RIDGE * np.eye(FEATURES)
            self._weights[:] = np.linalg.solve(ridged, self._moment[:, :, None])[:, :, 0]
        self._gram *= FORGETTING
        self._moment *= FORGETTING

    def to_bytes(self) -> bytes:
        """Everything it knows, for `restore`."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **self._arrays())
        return buffer.getvalue()

    def restore(self, content: bytes) -> None:
        """Become the signal that `to_bytes` was called on.

        Raises: ValueError where `content` is not of a signal with such steps.
        """
        if not zipfile.is_zipfile(io.BytesIO(content)):  # numpy would take some of what is none for an array
            raise ValueError("what is given is not a signal")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                stored = {name: np.asarray(archive[name]) for name in archive.files}
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            raise ValueError(f"what is given is not a whole signal: {error}") from error
        arrays = self._arrays()
        for name, array in arrays.items():
            if name not in stored or stored[name].shape != array.shape:
                raise ValueError(f"{name} is not what this signal has")
        for name, array in arrays.items():
            array[...] = stored[name]
        self._heard, self._newest = (int(number) for number in stored["counters"])
        self._highest_y = float(stored["highest_y"][0])

    def _arrays(self) -> Mapping[str, NDArray[np.generic]]:
        return {
            "past": self._past,
            "month_y": self._month_y,
            "weekends": self._weekends,
            "sums": self._sums,
            "gram": self._gram,
            "moment": self._moment,
            "weights": self._weights,
            "missed": self._missed,
            "missed_square": self._missed_square,
            "counters": np.array((self._heard, self._newest), dtype=np.int64),
            "highest_y": np.array((self._highest_y,)),
        }


def _dot(features: Floats, weights: Floats) -> Floats:
    """Row by row, always in the same order."""
    total: Floats = (features * weights).sum(axis=1)
    return total
