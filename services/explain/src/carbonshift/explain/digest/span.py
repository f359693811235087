"""Spans of event time, and the local clock they are told by. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from carbonshift.common.errors import InputError

__all__ = ["YEARS", "Span", "day_of", "last_day"]

YEARS = range(1_900, 9_991)
"""Beyond them a local clock, or a day's forecast, runs out of the calendar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From `start` on, up to `end`, which is no part of it."""

    start: datetime
    end: datetime
    zone: str = "UTC"
    """IANA name of the clock it is told by."""

    def __post_init__(self) -> None:
        """Refuse what is no span.

        Raises: InputError
        """
        if self.start >= self.end:
            raise InputError(
                f"the span from {self.start:%Y-%m-%dT%H:%M}Z to {self.end:%Y-%m-%dT%H:%M}Z has no moment in it",
                "let it end after it starts",
            )
        if self.start.year not in YEARS or self.end.year not in YEARS:
            raise InputError(
                f"the span is not within the years {YEARS[0]} to {YEARS[-1]}", "give a time that a grid has seen"
            )

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def length(self) -> timedelta:
        """Of event time: a local day may have 23 hours, or 25."""
        return self.end - self.start

    @property
    def day(self) -> date | None:
        """The local day that it is; None where it is another span."""
        day = self.start.astimezone(ZoneInfo(self.zone)).date()
        return day if self == day_of(day, self.zone) else None

    def said(self, moment: datetime) -> str:
        """`moment` on the local clock: `18:05` where the span is a day, else `2026-03-04 18:05`.

        Where the clock changes the name of its time follows: `01:30 EST`.
        """
        local = moment.astimezone(ZoneInfo(self.zone))
        shown = f"{local:%H:%M}" if self.day else f"{local:%Y-%m-%d %H:%M}"
        return f"{shown} {local:%Z}" if self._changes_with(local) else shown

    def said_before(self, moment: datetime) -> str | None:
        """A moment no later than the span; of a day `19:00 the day before`, or with its date; None beyond YEARS."""
        if moment.year not in YEARS:
            return None
        day = self.day
        if day is None or moment >= self.start:
            return self.said(moment)
        local = moment.astimezone(ZoneInfo(self.zone))
        if local.date() == day - timedelta(days=1):
            return f"{self.said(moment)} the day before"
        return f"{local:%Y-%m-%d} {self.said(moment)}"

    def _changes_with(self, local: datetime) -> bool:
        """Whether the clock has another offset at an end of the span than at the other or at `local`, or at it two."""
        ends = (self.start, self.end - timedelta(microseconds=1))
        offsets = {end.astimezone(local.tzinfo).utcoffset() for end in ends}
        return len(offsets | {local.replace(fold=fold).utcoffset() for fold in (0, 1)}) > 1


def day_of(day: date, zone: str) -> Span:
    """The local day, from its first moment to the first of the next."""
    first, next_first = (
        datetime.combine(midnight, time(), ZoneInfo(zone)).astimezone(UTC)
        for midnight in (day, day + timedelta(days=1))
    )
    return Span(start=first, end=next_first, zone=zone)


def last_day(now: datetime, zone: str) -> Span:
    """The local day that was over last, at `now`."""
    return day_of(now.astimezone(ZoneInfo(zone)).date() - timedelta(days=1), zone)
