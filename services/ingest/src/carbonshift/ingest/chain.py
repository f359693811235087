"""One signal out of several sources: the first healthy one tells it, the next one is its witness."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import numpy as np

from carbonshift.common.errors import CarbonShiftError, InputError
from carbonshift.ingest.cleaning.series import Series, Values, placed
from carbonshift.ingest.delays import Delays
from carbonshift.ingest.punctuality import Punctuality
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource
from carbonshift.ingest.standing import Standing, first_healthy

__all__ = ["Chain"]

T = TypeVar("T")
logger = logging.getLogger("carbonshift.ingest")

ASKED_AGAIN = timedelta(hours=1)
"""So far behind the newest interval each question reaches back: late values and corrections come within it."""
ASKED_AT_ONCE = timedelta(days=7)
"""At most: a long absence is caught up on piece by piece, each within the deadline."""
KEPT = timedelta(days=33)
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class _Member:
    """One source and what it has said."""

    source: GridSource
    punctuality: Punctuality
    standing: Standing = field(default_factory=Standing)
    readings: dict[datetime, Reading] = field(default_factory=dict)
    fresh: list[Reading] = field(default_factory=list)
    """What it said for the first time, or anew, when it was last asked."""
    covered_until: datetime | None = None
    """What was asked for with success ends here."""
    complaint: str = ""
    silent: bool = False
    """It was said of it that it has nothing at all."""


@dataclass(frozen=True, slots=True)
class _Told:
    reading: Reading
    member: int


class Chain:
    """The readings of one signal. What one source has told of an interval stays its own: no other displaces it."""

    def __init__(
        self,
        signal: Signal,
        sources: Sequence[GridSource],
        settings: IngestSettings,
        delays: Delays,
        since: datetime,
        clock: Callable[[], datetime],
    ) -> None:
        """Ask `sources`, the preferred one first, for what lies behind `since`; `clock` tells the time in UTC.

        Raises: InputError where there is none, one lacks the signal, or two are not of one kind.
        """
        _checked(signal, sources)
        self.signal = signal
        self._settings = settings
        self._delays = delays
        self._since = since
        self._clock = clock
        self._members = [
            _Member(source, Punctuality(interval_seconds=source.interval_seconds, poll_seconds=settings.poll_seconds))
            for source in sources
        ]
        self._told: dict[datetime, _Told] = {}
        self._active = 0

    @property
    def active(self) -> GridSource:
        """The source that tells now."""
        return self._members[self._active].source

    @property
    def sources(self) -> list[GridSource]:
        """All of them, the preferred one first."""
        return [member.source for member in self._members]

    @property
    def interval_seconds(self) -> int:
        """Of the finest source."""
        return min(source.interval_seconds for source in self.sources)

    @property
    def usual_delay_seconds(self) -> float:
        """How long after the end of an interval the source that tells now has lately had its value."""
        return self._members[self._active].punctuality.usual_delay_seconds

    def due_at(self, now: datetime) -> datetime:
        """When a source of it is to be asked next."""
        return min(member.punctuality.due_at(now) for member in self._members)

    def remember(self, readings: Iterable[Reading], source: str) -> None:
        """Take over what was told before a restart, by the source of that name, or else by the preferred one."""
        names = [member.source.name for member in self._members]
        member = names.index(source) if source in names else 0
        for reading in readings:
            if reading.interval_start == _begin(reading.interval_start, self._members[member].source):
                self._told[reading.interval_start] = _Told(reading, member)

    async def ask(self, now: datetime) -> set[datetime]:
        """Ask every source that is due; the intervals of which something new is known then."""
        due = [member for member in self._members if member.punctuality.due_at(now) <= now]
        for member in self._members:
            member.fresh = []
        await asyncio.gather(*(self._ask(member, now) for member in due))
        before, self._active = self._active, first_healthy([member.standing for member in self._members])
        if self._active != before:
            names = [self._members[place].source.name for place in (before, self._active)]
            logger.warning("%s: %s tells from here on, in the place of %s", self.signal.value, names[1], names[0])
            self._members[self._active].fresh = list(self._members[self._active].readings.values())
        return self._take(now)

    def series(self, start: datetime, count: int, interval_seconds: int) -> Series:
        """What was told of `count` intervals from `start`."""
        told = [(moment, self._told[moment]) for moment in self._moments(start, count, interval_seconds)]
        values = np.full(count, np.nan)
        estimated = np.zeros(count, dtype=np.bool_)
        for number, member in enumerate(self._members):
            own = [each.reading for _, each in told if each.member == number]
            part = placed(own, member.source.interval_seconds, start, count, interval_seconds)
            there = ~np.isnan(part.values)
            values[there], estimated[there] = part.values[there], part.estimated[there]
        return Series(values, estimated)

    def witness(self, start: datetime, count: int, interval_seconds: int) -> Values | None:
        """What the first healthy source after the one that tells says of the same intervals; None without one."""
        others = [m for n, m in enumerate(self._members) if n != self._active and m.standing.healthy]
        if not others:
            return None
        readings = [r for r in others[0].readings.values() if not r.estimated]
        return placed(readings, others[0].source.interval_seconds, start, count, interval_seconds).values

    def source_at(self, moment: datetime) -> str:
        """Who told of the interval at `moment`; for one that nobody did, who tells now."""
        for member in self._members:
            told = self._told.get(_begin(moment, member.source))
            if told is not None and self._members[told.member] is member and told.reading.value is not None:
                return member.source.name
        return self.active.name

    def _moments(self, start: datetime, count: int, interval_seconds: int) -> list[datetime]:
        longest = max(member.source.interval_seconds for member in self._members)
        step = timedelta(seconds=interval_seconds)
        early = longest // interval_seconds
        candidates = (start + step * number for number in range(-early, count))
        return [moment for moment in candidates if moment in self._told]

    async def _ask(self, member: _Member, now: datetime) -> None:
        source = member.source
        step = timedelta(seconds=source.interval_seconds)
        start = self._since
        if member.covered_until:
            newest_end = member.punctuality.newest_end or member.covered_until
            start = min(member.covered_until, newest_end) - ASKED_AGAIN - step
            start = max(start, member.covered_until - ASKED_AT_ONCE / 2)
        start = _begin(max(start, now - KEPT), source)
        end = min(_begin(now, source) + step, start + ASKED_AT_ONCE)
        newest = None
        try:
            readings = await source.fetch(self.signal, self._settings.region, start, end)
        except CarbonShiftError as error:
            if member.complaint != error.problem:
                logger.warning("%s: %s", source.name, error)
            member.complaint = error.problem
            heard = False
        except Exception:
            logger.exception("%s has an error of its own; the others go on", source.name)
            heard = False
        else:
            if member.complaint:
                logger.info("%s answers again", source.name)
            member.complaint = ""
            member.fresh = [r for r in readings if member.readings.get(r.interval_start) != r]
            member.readings |= {reading.interval_start: reading for reading in member.fresh}
            member.covered_until = min(end, now)
            starts = (r.interval_start for r in readings if r.value is not None and r.interval_start <= now)
            newest = max(starts, default=None)
            heard = True
            if newest is None and member.punctuality.newest_end is None and not member.silent:
                since = start.isoformat(timespec="minutes")
                logger.warning("%s has no %s since %s: check its node, region or zone", source.name, self.signal, since)
                member.silent = True
        had_at = self._clock()
        before, member.punctuality = (
            member.punctuality,
            member.punctuality.after(had_at, newest + step if newest else None),
        )
        after = member.punctuality
        if before.newest_end and after.newest_end != before.newest_end:
            self._delays.observe(source.name, self.signal, after.delays_seconds[-1])
        on_time = after.newest_end is not None and after.overdue_seconds(had_at) <= self._settings.wait_seconds
        member.standing = member.standing.after(heard and (on_time or end < now))
        _forget(member.readings, now - KEPT)

    def _take(self, now: datetime) -> set[datetime]:
        """Take what the active source says of intervals that nobody told, and what any says anew of its own."""
        news: set[datetime] = set()
        for number in (self._active, *(n for n in range(len(self._members)) if n != self._active)):
            for reading in self._members[number].fresh:
                moment = reading.interval_start
                told = self._told.get(moment)
                if told is None or told.reading.value is None:
                    wanted = number == self._active and (told is None or reading.value is not None)
                else:
                    wanted = told.member == number and reading.value is not None and reading != told.reading
                if wanted:
                    self._told[moment] = _Told(reading, number)
                    news.add(moment)
        _forget(self._told, now - KEPT)
        return news


def _forget(by_moment: dict[datetime, T], before: datetime) -> None:
    """Drop the oldest, which lie first, or nearly so."""
    while by_moment and (oldest := next(iter(by_moment))) < before:
        del by_moment[oldest]


def _begin(moment: datetime, source: GridSource) -> datetime:
    """Beginning of the interval of `source` in which `moment` lies."""
    return moment - (moment - EPOCH) % timedelta(seconds=source.interval_seconds)


def _checked(signal: Signal, sources: Sequence[GridSource]) -> None:
    if not sources:
        raise InputError(
            f"no source of the {signal.value} is set",
            f"set CARBONSHIFT_{signal.upper()}_SOURCES, for instance to the name of one of the installed sources",
        )
    for number, source in enumerate(sources):
        if source.name in {other.name for other in sources[:number]}:
            raise InputError(f"{source.name} stands twice among the {signal.value} sources", "name it once")
        if signal not in source.signals:
            raise InputError(f"{source.name} tells no {signal.value}", f"take it out of {signal.value}_sources")
        kinds = {str(s.price_market if signal is Signal.PRICE else s.carbon_basis) for s in (sources[0], source)}
        if len(kinds) > 1:
            raise InputError(
                f"{sources[0].name} and {source.name} do not tell the same {signal.value}: {', '.join(sorted(kinds))}",
                "choose sources of one kind: such values never stand in for one another",
            )
