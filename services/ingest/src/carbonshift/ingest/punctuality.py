"""When a source is asked next: as it is due to publish, not as we happened to start. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

__all__ = ["Punctuality"]

DELAYS_KEPT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Punctuality:
    """What is known of a source's habits: how long after the end of an interval its value can be had."""

    interval_seconds: int
    poll_seconds: float
    newest_end: datetime | None = None
    """End of the newest interval that it has given."""
    delays_seconds: tuple[float, ...] = ()
    """Of the last intervals, the newest last: from the end of each to the moment we first had it. May be negative."""
    asked_at: datetime | None = None
    misses: int = 0
    """How often running it had nothing new although even its latest hour had passed."""

    def after(self, now: datetime, newest_end: datetime | None) -> "Punctuality":
        """Having asked at `now` and heard of intervals up to `newest_end`; None = nothing was heard."""
        if newest_end is None or (self.newest_end is not None and newest_end <= self.newest_end):
            return replace(self, asked_at=now, misses=self.misses + 1 if self._latest_passed(now) else 0)
        delays = self.delays_seconds
        if self.newest_end is not None:  # the first answer brings history: it says nothing of when that came out
            delays = (*delays, (now - newest_end).total_seconds())[-DELAYS_KEPT:]
        return replace(self, newest_end=newest_end, delays_seconds=delays, asked_at=now, misses=0)

    @property
    def usual_delay_seconds(self) -> float:
        """The median of the last ones; 0 where none is known yet."""
        return median(self.delays_seconds) if self.delays_seconds else 0.0

    def due_at(self, now: datetime) -> datetime:
        """When the next interval can be had: half a poll before the earliest of late, so that a faster provider is
        noticed; then poll after poll, and beyond the latest of late ever more seldom.
        """
        if self.asked_at is None:
            return now
        longest = max(self.poll_seconds, self.interval_seconds / 4)
        pause = timedelta(seconds=min(self.poll_seconds * 2 ** min(max(self.misses - 1, 0), 16), longest))
        if self.newest_end is None:
            return self.asked_at + pause
        if not self.delays_seconds:  # poll after poll, until a first interval has shown when it comes
            return self.asked_at + pause
        early = min(self.delays_seconds) - self.poll_seconds / 2
        expected = self.newest_end + timedelta(seconds=self.interval_seconds + early)
        return max(expected, self.asked_at + pause)

    def _latest_passed(self, now: datetime) -> bool:
        if self.newest_end is None:
            return True
        latest = max(self.delays_seconds, default=0.0) + self.poll_seconds
        return now > self.newest_end + timedelta(seconds=self.interval_seconds + latest)

    def overdue_seconds(self, now: datetime) -> float:
        """How much later than usual the next interval is; 0 where it is not, or where nothing is known yet."""
        if self.newest_end is None:
            return 0.0
        late = (now - self.newest_end).total_seconds() - self.interval_seconds - self.usual_delay_seconds
        return max(0.0, late)
