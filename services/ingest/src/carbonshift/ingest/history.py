"""A tape of what a grid did, asked of its providers part by part; what has come is kept, so that a fetch resumes."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, PriceMarket, rfc3339
from carbonshift.common.plugins import load_plugin
from carbonshift.common.tape import LARGEST, Sidecar, TapeRow, can_write, sidecar_path, write_tape
from carbonshift.ingest.errors import SourceUnavailableError
from carbonshift.ingest.journal import Journal
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource
from carbonshift.ingest.web import WebPool

__all__ = ["Count", "Wanted", "Written", "fetch_history", "journal_path"]

SOURCES = "carbonshift.sources"
LONGEST_PART = timedelta(days=30)
"""One question to OASIS, which gives 31 days at most, and as clocks change 31 days are more by its clock."""
QUESTION_SECONDS = 60.0
"""How long one question may take with its retries: an answer over a month is slow to come."""
EARLIEST = datetime(2009, 4, 1, tzinfo=UTC)
"""When the nodal market of CAISO began."""
PAUSES_SECONDS = (5.0, 30.0, 90.0, 300.0)
"""Between the tries of a part whose source is away; the longer ones outlast the circuit breaker."""
DAY_AHEAD_PUBLISHED = time(13)
"""By the market's own clock, of the day before: when CAISO publishes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a tape is to hold: the intervals with start <= interval_start < end."""

    region: str
    price_source: str
    carbon_source: str | None
    """None = no carbon: its cells stay empty."""
    start: datetime
    end: datetime


@dataclass(slots=True)
class Count:
    """How many values of one signal a tape has got, each counted once however long it holds."""

    expected: int = 0
    known: int = 0
    estimated: int = 0
    """Of those known, the provider's own estimates."""
    unfit: int = 0
    """Of those that are not known, the ones that came and that no tape can hold."""


@dataclass(frozen=True, slots=True)
class Written:
    """A finished tape."""

    intervals: int
    counts: dict[Signal, Count]


@dataclass(frozen=True, slots=True)
class _Part:
    """What is asked for, and kept, in one piece."""

    signal: Signal
    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.signal} {rfc3339(self.start)} to {rfc3339(self.end)}"


async def fetch_history(
    wanted: Wanted,
    settings: IngestSettings,
    out: Path,
    *,
    say: Callable[[str], None],
    progress: Callable[[int, int, str], None],
    pauses: Sequence[float] = PAUSES_SECONDS,
) -> Written:
    """Write the tape `out` and its sidecar once all of it has come; until then a journal beside it keeps what has.

    Args:
        wanted: what it is to hold.
        settings: where the sources are, and of which node, region or zone.
        out: a tape that does not exist yet.
        say: told what the user should know on the way, one line each.
        progress: called with parts done, parts in all, and a line about the last one.
        pauses: seconds between the tries of a part.

    Raises: InputError; SourceRefusedError; SourceUnavailableError where a part has not come in all its tries. After
        each of the latter two, and after a kill, the same call goes on at the first part that is not there.
    """
    can_write(out)
    async with WebPool(QUESTION_SECONDS) as web:
        sources = {Signal.PRICE: _source(wanted.price_source, Signal.PRICE, settings, web)}
        if wanted.carbon_source is not None:
            sources[Signal.CARBON] = _source(wanted.carbon_source, Signal.CARBON, settings, web)
        _check_span(wanted, sources, datetime.now(UTC))
        parts = [_Part(signal, *span) for span in _spans(wanted) for signal in sources]
        _refuse_what_exists(out)
        with Journal(journal_path(out), _header(wanted, settings, sources), [str(part) for part in parts]) as journal:
            if journal.done:
                say(f"{journal.done} of {len(parts)} parts are there already; the fetch resumes")
            for part in parts[journal.done :]:
                readings = await _patiently(sources[part.signal], wanted.region, part, journal, say, pauses)
                values = _values(readings, part, sources[part.signal].interval_seconds)
                journal.append(values)
                known = sum(value is not None for _, value, _ in values)
                progress(journal.done, len(parts), f"{part}: {known} values")
            written = _write(out, wanted, sources, journal)
            journal.remove()
    return written


def journal_path(out: Path) -> Path:
    """Where the parts of the tape `out` are kept until it is whole."""
    return out.with_name(f".{out.name}.journal")


def _source(name: str, signal: Signal, settings: IngestSettings, web: WebPool) -> GridSource:
    source: GridSource = load_plugin(SOURCES, name)(settings, web)
    if signal not in source.signals:
        raise InputError(f"the source {name} gives no {signal}", "name another one")
    return source


def _check_span(wanted: Wanted, sources: dict[Signal, GridSource], now: datetime) -> None:
    if wanted.start >= wanted.end:
        raise InputError(
            f"the start {rfc3339(wanted.start)} is not before the end {rfc3339(wanted.end)}", "exchange or correct them"
        )
    if wanted.start < EARLIEST:
        raise InputError(
            f"the start {rfc3339(wanted.start)} lies before any record", f"{EARLIEST.year} at the earliest"
        )
    step_seconds = math.lcm(*(source.interval_seconds for source in sources.values()))
    for moment in (wanted.start, wanted.end):
        if moment.timestamp() % step_seconds:
            raise InputError(f"{rfc3339(moment)} begins no interval of {step_seconds} s", "give a time that does")
    last = min(_published_until(source, signal, now) for signal, source in sources.items())
    last -= timedelta(seconds=last.timestamp() % step_seconds)
    if wanted.end > last:
        raise InputError(
            f"the end {rfc3339(wanted.end)} lies beyond what is published", f"it can be {rfc3339(last)} at the latest"
        )


def _published_until(source: GridSource, signal: Signal, now: datetime) -> datetime:
    """The end of what can be known by `now`: of day-ahead prices that of a local day, today or tomorrow."""
    if signal is Signal.CARBON or source.price_market is PriceMarket.REAL_TIME:
        return now
    zone = ZoneInfo(source.time_zone)
    local = now.astimezone(zone)
    days = 2 if local.time() >= DAY_AHEAD_PUBLISHED else 1
    return datetime.combine(local.date() + timedelta(days=days), time(), zone).astimezone(UTC)


def _spans(wanted: Wanted) -> Iterator[tuple[datetime, datetime]]:
    start = wanted.start
    while start < wanted.end:
        end = min(start + LONGEST_PART, wanted.end)
        yield start, end
        start = end


def _refuse_what_exists(out: Path) -> None:
    files = [out]
    if not journal_path(out).exists():  # with it, the sidecar is that of a fetch that was killed as it wrote the tape
        files.append(sidecar_path(out))
    for file in files:
        if file.exists():
            raise InputError(f"{file} is there already", "name another file, or move that one away")


def _header(wanted: Wanted, settings: IngestSettings, sources: dict[Signal, GridSource]) -> dict[str, Any]:
    """What two fetches must have in common for one to go on where the other stopped."""
    return {
        "price source": wanted.price_source,
        "carbon source": wanted.carbon_source,
        "start": rfc3339(wanted.start),
        "end": rfc3339(wanted.end),
        "node": settings.caiso_node,
        "WattTime region": settings.watttime_region,
        "Electricity Maps zone": settings.electricitymaps_zone,
        "steps": [source.interval_seconds for source in sources.values()],
    }


async def _patiently(
    source: GridSource,
    region: str,
    part: _Part,
    journal: Journal,
    say: Callable[[str], None],
    pauses: Sequence[float],
) -> list[Reading]:
    """The readings of a part, asked for once more after each of `pauses` while the source is away."""
    tries = iter(pauses)
    while True:
        try:
            return await source.fetch(part.signal, region, part.start, part.end)
        except SourceUnavailableError as error:
            pause = next(tries, None)
            if pause is None:
                raise SourceUnavailableError(
                    f"{error.problem}; {journal.done} of {len(journal.parts)} parts have come, not {part}",
                    "the same command resumes there",
                ) from error
            pause = max(pause, error.retry_after_seconds or 0.0)
            say(f"{error.problem}; {part} is asked for again in {pause:.0f} s")
            await asyncio.sleep(pause)


Values = list[tuple[int, float | None, bool]]
"""Number of the interval within its part, value, whether it is estimated."""


def _values(readings: list[Reading], part: _Part, step_seconds: int) -> Values:
    """The readings of the part; what is outside of it or off its grid of intervals was not asked for."""
    step = timedelta(seconds=step_seconds)
    found: Values = []
    for reading in readings:
        number, off = divmod(reading.interval_start - part.start, step)
        if not off and part.start <= reading.interval_start < part.end:
            finite = reading.value is not None and math.isfinite(reading.value)
            found.append((number, reading.value if finite else None, reading.estimated))
    return found


@dataclass(slots=True)
class _Rows:
    """The rows of a tape out of its journal, counted as they go by."""

    wanted: Wanted
    sources: dict[Signal, GridSource]
    journal: Journal
    intervals: int = 0
    counts: dict[Signal, Count] = field(default_factory=dict)

    @property
    def step_seconds(self) -> int:
        """The shorter step, or what both steps are multiples of."""
        return math.gcd(*(source.interval_seconds for source in self.sources.values()))

    def __iter__(self) -> Iterator[TapeRow]:
        """Each interval once; one that is missing has empty cells, a value of a longer step stands in each of its rows.

        Raises: InputError at the end, where a signal has no value at all.
        """
        self.counts = {signal: Count() for signal in self.sources}
        step_seconds = self.step_seconds
        parts = self.journal.contents()
        for start, end in _spans(self.wanted):
            held = {signal: self._counted(signal, next(parts), end - start) for signal in self.sources}
            for seconds in range(0, int((end - start).total_seconds()), step_seconds):
                cells = {s: known.get(seconds // self.sources[s].interval_seconds) for s, known in held.items()}
                yield TapeRow(start + timedelta(seconds=seconds), cells[Signal.PRICE], cells.get(Signal.CARBON))
                self.intervals += 1
        for signal, count in self.counts.items():
            if not count.known:
                raise _NothingError(
                    f"{self.sources[signal].name} has no {signal} at all from {rfc3339(self.wanted.start)} to "
                    f"{rfc3339(self.wanted.end)}",
                    "check the node, region or zone, and what the account may see, and the dates",
                )

    def _counted(self, signal: Signal, values: Values, length: timedelta) -> dict[int, float]:
        """Value by the number of the interval."""
        count = self.counts[signal]
        known: dict[int, float] = {}
        for number, value, estimated in values:
            if value is None:
                continue
            if abs(value) > LARGEST or (signal is Signal.CARBON and value < 0):
                count.unfit += 1
                continue
            known[number] = value
            count.estimated += estimated
        count.expected += length // timedelta(seconds=self.sources[signal].interval_seconds)
        count.known += len(known)
        return known


class _NothingError(InputError):
    """All has been asked for, and no value of a signal was there: resuming would not change that."""


def _write(out: Path, wanted: Wanted, sources: dict[Signal, GridSource], journal: Journal) -> Written:
    price, carbon = sources[Signal.PRICE], sources.get(Signal.CARBON)
    rows = _Rows(wanted, sources, journal)
    sidecar = Sidecar(
        region=wanted.region,
        time_zone=price.time_zone,
        step_seconds=rows.step_seconds,
        price_step_seconds=price.interval_seconds,
        carbon_step_seconds=carbon.interval_seconds if carbon else None,
        carbon_basis=carbon.carbon_basis if carbon else CarbonBasis.AVERAGE,
        price_market=price.price_market,
        day_ahead_published=DAY_AHEAD_PUBLISHED if price.price_market is PriceMarket.DAY_AHEAD else None,
    )
    try:
        write_tape(out, rows, sidecar)
    except _NothingError:
        journal.remove()
        raise
    return Written(rows.intervals, rows.counts)
