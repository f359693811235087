"""One signal out of several sources: the first healthy one tells it, the next one is its witness."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from carbonshift.common.errors import CarbonShiftError, InputError
from carbonshift.ingest.cleaning.series import Series, Values, placed
from carbonshift.ingest.interval import begin_of
from carbonshift.ingest.metrics import IngestMetrics
from carbonshift.ingest.punctuality import Punctuality
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource
from carbonshift.ingest.standing import Standing, first_healthy

__all__ = ["DEADLINE_SHARE", "KEPT", "Chain", "checked_readings", "forget"]

T = TypeVar("T")
logger = logging.getLogger("carbonshift.ingest")

ASKED_AGAIN = timedelta(hours=1)
"""So far behind the newest interval each question reaches back: late values and corrections come within it."""
ASKED_DEEPLY = timedelta(days=1)
"""Once in `ASKED_AGAIN` a question reaches so far back: estimates are replaced, and holes filled, hours later."""
ASKED_AT_ONCE = timedelta(days=2)
"""At most: a long absence is caught up on piece by piece, each within the deadline."""
DEADLINE_SHARE = 0.8
"""Of a poll: a source has answered by then, or it counts as away until the next."""
KEPT = timedelta(days=33)
"""Of what was told: longer than any correction is asked for, and than any absence is caught up on."""
STANDS_IN_STEPS = 24
"""So far back the value is looked for that a held or interpolated one comes from."""


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
    behind: bool = False
    """It is being caught up with: what it has does not yet reach to now."""
    asked_deeply_at: datetime | None = None
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
        metrics: IngestMetrics,
        since: datetime,
        clock: Callable[[], datetime],
    ) -> None:
        """Ask `sources`, the preferred one first, for what lies behind `since`; `clock` tells the time in UTC.

        Raises: InputError where there is none, one lacks the signal, or two are not of one kind.
        """
        _checked(signal, sources)
        self.signal = signal
        self._settings = settings
        self._metrics = metrics
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
    def longest_interval_seconds(self) -> int:
        """Of the coarsest source: so long may one value hold."""
        return max(source.interval_seconds for source in self.sources)

    @property
    def usual_delay_seconds(self) -> float:
        """How long after the end of an interval the source that tells now has lately had its value."""
        return self._members[self._active].punctuality.usual_delay_seconds

    def due_at(self, now: datetime) -> datetime:
        """When a source of it is to be asked next."""
        return min(member.punctuality.due_at(now) for member in self._members)

    @property
    def behind_from(self) -> datetime | None:
        """From where on the source that tells has not been asked yet; None where it has been for all up to now."""
        member = self._members[self._active]
        return member.covered_until if member.behind else None

    def remember(self, reading: Reading, source: str) -> None:
        """Take over what one of the sources told before a restart."""
        if reading.interval_start == self._begin(reading.interval_start):
            names = [member.source.name for member in self._members]
            self._told[reading.interval_start] = _Told(reading, names.index(source))

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
        told = [
            self._told[moment].reading
            for moment in self._moments(start, count, interval_seconds)
            if moment in self._told
        ]
        return placed(told, self.interval_seconds, start, count, interval_seconds)

    def witness(self, start: datetime, count: int, interval_seconds: int) -> Values | None:
        """What the sources that do not tell say of the same intervals, the preferred one first; None without any.

        Whether they are well now is all the same: what they said once stays said.
        """
        others = [member for number, member in enumerate(self._members) if number != self._active]
        said: dict[datetime, Reading] = {}
        for moment in self._moments(start, count, interval_seconds) if others else ():
            for member in others:
                reading = member.readings.get(moment)
                if reading is not None and reading.value is not None and not reading.estimated:
                    said.setdefault(moment, reading)
        return placed(said.values(), self.interval_seconds, start, count, interval_seconds).values if said else None

    def source_at(self, moment: datetime) -> str:
        """Who told of the interval at `moment`, or of the last one before it whose value may stand in."""
        at, step = self._begin(moment), timedelta(seconds=self.interval_seconds)
        for _ in range(STANDS_IN_STEPS):
            told = self._told.get(at)
            if told is not None and told.reading.value is not None:
                return self._members[told.member].source.name
            at -= step
        return self.active.name

    def _moments(self, start: datetime, count: int, interval_seconds: int) -> list[datetime]:
        """Beginnings of the intervals of the finest source that reach into `count` intervals from `start`."""
        first, step = self._begin(start), timedelta(seconds=self.interval_seconds)
        return [first + step * number for number in range(count * interval_seconds // self.interval_seconds + 2)]

    def _begin(self, moment: datetime) -> datetime:
        return begin_of(moment, self.interval_seconds)

    async def _ask(self, member: _Member, now: datetime) -> None:
        source = member.source
        step = timedelta(seconds=source.interval_seconds)
        start, deeply = self._span_start(member, now)
        end = min(begin_of(now, source.interval_seconds) + step, start + ASKED_AT_ONCE)
        newest = None
        try:
            async with asyncio.timeout(self._settings.poll_seconds * DEADLINE_SHARE):
                told = await source.fetch(self.signal, self._settings.region, start, end)
            readings = checked_readings(told, source)
        except (CarbonShiftError, TimeoutError) as error:
            problem = error.problem if isinstance(error, CarbonShiftError) else f"{source.name} takes too long"
            if member.complaint != problem:
                logger.warning("%s: %s", source.name, error if isinstance(error, CarbonShiftError) else problem)
            member.complaint = problem
            heard = False
        except Exception:
            logger.exception("%s has an error of its own; the others go on", source.name)
            heard = False
        else:
            if member.complaint:
                logger.info("%s answers again", source.name)
            member.complaint = ""
            self._hear(member, readings)
            member.covered_until, member.behind = min(end, now), end < now
            member.asked_deeply_at = now if deeply else member.asked_deeply_at
            starts = (r.interval_start for r in readings if r.value is not None and r.interval_start <= now)
            newest = max(starts, default=None)
            heard = True
            if newest is None and member.punctuality.newest_end is None and not member.silent:
                since = start.isoformat(timespec="minutes")
                logger.warning("%s has no %s since %s: check its node, region or zone", source.name, self.signal, since)
                member.silent = True
        if not heard:
            self._metrics.failed(source.name, self.signal)
        self._judge(member, newest + step if newest else None, heard=heard)
        forget(member.readings, now - KEPT)

    def _span_start(self, member: _Member, now: datetime) -> tuple[datetime, bool]:
        """From where on to ask, and whether that is deep enough for an hour."""
        seconds = member.source.interval_seconds
        start, deeply = self._since, True
        if member.covered_until:
            deeply = member.asked_deeply_at is None or now - member.asked_deeply_at >= ASKED_AGAIN
            newest_end = member.punctuality.newest_end or member.covered_until
            start = min(member.covered_until, newest_end) - ASKED_AGAIN - timedelta(seconds=seconds)
            if deeply and not member.behind:
                start = max(min(start, now - ASKED_DEEPLY), self._since)
            start = max(start, member.covered_until - ASKED_AT_ONCE / 2)
        return begin_of(max(start, now - KEPT), seconds), deeply

    def _hear(self, member: _Member, readings: Iterable[Reading]) -> None:
        """Keep what is new, on the grid of the finest source; an estimate does not displace what was measured."""
        step = timedelta(seconds=self.interval_seconds)
        member.fresh = []
        for reading in readings:
            for part in range(member.source.interval_seconds // self.interval_seconds):
                own = Reading(reading.interval_start + step * part, reading.value, reading.estimated)
                known = member.readings.get(own.interval_start)
                measured = known is not None and known.value is not None and not known.estimated
                if own != known and not (measured and (own.estimated or own.value is None)):
                    member.readings[own.interval_start] = own
                    member.fresh.append(own)

    def _judge(self, member: _Member, newest_end: datetime | None, *, heard: bool) -> None:
        """How punctual it was, and what that says of its health."""
        had_at = self._clock()
        before, after = member.punctuality, member.punctuality.after(had_at, newest_end)
        member.punctuality = after
        if before.newest_end and after.newest_end != before.newest_end:
            self._metrics.had(member.source.name, self.signal, after.delays_seconds[-1])
        late = after.overdue_seconds(had_at) > self._settings.wait_seconds
        unknown = not after.delays_seconds  # its habits: nobody can say yet that it is late
        on_time = after.newest_end is not None and (unknown or not late)
        member.standing = member.standing.after(heard and (on_time or member.behind))

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
                    better = not reading.estimated or told.reading.estimated
                    wanted = told.member == number and better and reading.value is not None and reading != told.reading
                if wanted:
                    self._told[moment] = _Told(reading, number)
                    news.add(moment)
        forget(self._told, now - KEPT)
        return news


def forget(by_moment: dict[datetime, T], before: datetime) -> None:
    """Drop the oldest, which lie first, or nearly so."""
    while by_moment and (oldest := next(iter(by_moment))) < before:
        del by_moment[oldest]


def checked_readings(readings: object, source: GridSource) -> list[Reading]:
    """What `source` answered, if it is what a source has to answer. Raises: TypeError, ValueError: its own fault."""
    if not isinstance(readings, list):
        raise TypeError(f"{source.name} answered {type(readings).__name__}, not a list of readings")
    for reading in readings:
        value, start = reading.value, reading.interval_start
        if start.tzinfo is None or start != begin_of(start.astimezone(UTC), source.interval_seconds):
            raise ValueError(f"{source.name} answered for {start.isoformat()}, which begins none of its intervals")
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
            raise ValueError(f"{source.name} answered {value!r}, which is no number")
    return readings


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
