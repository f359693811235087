"""Event time on a worker between one state and the next. Pure: both clocks of the machine are handed in."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from carbonshift.common.events import GridState

__all__ = ["EventClock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventClock:
    """Live: the wall clock. Replayed: the state's interval, gone through at the replay's speed, never left.

    A replay without a speed stands still at the interval's start.
    """

    interval_start: datetime
    interval_end: datetime
    reached: datetime
    """It never shows less."""
    live: bool
    speed: float | None
    started_monotonic_seconds: float
    """When, by the monotonic clock, the interval began."""

    @classmethod
    def of(cls, state: GridState, *, elapsed_seconds: float, monotonic_seconds: float) -> "EventClock":
        """The clock of `state`, which was published `elapsed_seconds` before now."""
        return cls(
            interval_start=state.interval_start,
            interval_end=state.interval_start + timedelta(seconds=state.interval_seconds),
            reached=state.interval_start,
            live=state.replay is None,
            speed=state.replay.speed if state.replay else 1.0,
            started_monotonic_seconds=monotonic_seconds - elapsed_seconds,
        )

    def now(self, *, wall: datetime, monotonic_seconds: float) -> datetime:
        """Event time."""
        if self.live:
            return wall
        if self.speed is None:
            return self.reached
        elapsed = timedelta(seconds=max(0.0, monotonic_seconds - self.started_monotonic_seconds) * self.speed)
        return max(self.reached, min(self.interval_start + elapsed, self.interval_end))

    def reach(self, moment: datetime) -> "EventClock":
        """This clock, not showing less than `moment`, which is clamped to the interval."""
        return replace(self, reached=max(self.reached, min(moment, self.interval_end)))

    def wait_seconds(self, moment: datetime, *, wall: datetime, monotonic_seconds: float) -> float | None:
        """Seconds of the wall clock until it shows `moment`; None where it will not in this interval."""
        if not self.live and (self.speed is None or moment >= self.interval_end):
            return None
        left = moment - self.now(wall=wall, monotonic_seconds=monotonic_seconds)
        return max(0.0, left.total_seconds()) / (self.speed or 1.0)
