"""Replays a tape onto the broker as ingest would have published it, at any speed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from carbonshift.common.client import bare_client
from carbonshift.common.errors import InputError
from carbonshift.common.events import DayAheadPrices, Event, GridTick, Replay, rfc3339
from carbonshift.common.tape import Tape
from carbonshift.ingest.cleaning.clean import Cleaner, Patience
from carbonshift.ingest.cleaning.frame import Frame
from carbonshift.ingest.cleaning.integrity import DAY_SECONDS
from carbonshift.ingest.cleaning.series import Series, placed
from carbonshift.ingest.dayahead import published_days
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.reading import Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource
from carbonshift.ingest.sources.faulty import FaultySource
from carbonshift.ingest.sources.recording import RecordingSource

__all__ = ["Span", "frame_of", "replay_tape", "span_of", "ticks_of"]

CHUNK_INTERVALS = 288
"""Read, and at full speed published, together."""


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of a tape to replay: start <= interval_start < end, `start` being the beginning of an interval."""

    start: datetime
    end: datetime


def span_of(tape: Tape, start: datetime | None = None, end: datetime | None = None) -> Span:
    """The part of the tape that lies in [start, end); None = from its first, to its last.

    Raises: InputError where nothing of it does.
    """
    step = timedelta(seconds=tape.step_seconds)
    first = tape.first
    if start is not None and start > first:
        first += step * -(-(start - first) // step)
    behind = tape.last + step
    behind = min(behind, end) if end is not None else behind
    if first >= behind:
        raise InputError(
            f"{tape.path}: nothing lies between {rfc3339(first)} and {rfc3339(behind)}",
            f"it goes from {rfc3339(tape.first)} to {rfc3339(tape.last)}",
        )
    return Span(first, behind)


def frame_of(tape: Tape, region: str | None = None, replay: Replay | None = None) -> Frame:
    """What all ticks of a tape have in common; `region` in the place of the sidecar's."""
    return Frame(
        region=region or tape.sidecar.region,
        interval_seconds=tape.step_seconds,
        price_seconds=tape.sidecar.price_step_seconds or tape.step_seconds,
        carbon_seconds=tape.sidecar.carbon_step_seconds or tape.step_seconds,
        carbon_basis=tape.sidecar.carbon_basis,
        price_market=tape.sidecar.price_market,
        price_source=RecordingSource.name,
        carbon_source=RecordingSource.name,
        replay=replay,
    )


async def ticks_of(source: GridSource, span: Span, frame: Frame, patience: Patience) -> AsyncIterator[GridTick]:
    """The ticks of `span` as ingest tells them, corrections of closed gaps among them; the day before is looked at."""
    step = timedelta(seconds=frame.interval_seconds)
    before = Span(span.start - DAY_SECONDS // frame.interval_seconds * step, span.start)
    cleaner = Cleaner(frame, patience, before.start)
    cleaner.judge(*await _series(source, before, frame))
    for chunk in _chunks(span, frame.interval_seconds):
        for tick in cleaner.ticks(*await _series(source, chunk, frame)):
            if tick.interval_start >= span.start:
                yield tick


async def _series(source: GridSource, span: Span, frame: Frame) -> tuple[Series, Series]:
    count = -(-(span.end - span.start) // timedelta(seconds=frame.interval_seconds))
    price, carbon = [
        placed(
            await source.fetch(signal, frame.region, span.start, span.end),
            frame.interval_seconds,
            span.start,
            count,
            frame.interval_seconds,
        )
        for signal in (Signal.PRICE, Signal.CARBON)
    ]
    return price, carbon


async def replay_tape(
    settings: IngestSettings,
    tape: Tape,
    span: Span,
    replay: Replay,
    region: str | None = None,
    progress: Callable[[int], None] | None = None,
    stored: Callable[[Sequence[Event]], None] = lambda _: None,
) -> int:
    """Publish the ticks of `span`, and the day-ahead prices as they became known; return how many intervals.

    Args:
        settings: the broker and the prefix.
        tape: an opened tape.
        span: what of it.
        replay: the mark of this run; its speed paces it.
        region: in the place of the sidecar's.
        progress: called with the number of intervals published so far.
        stored: called with what has been published.
    """
    source: GridSource = RecordingSource(settings, tape=tape)
    if settings.faults:
        source = FaultySource(settings, inner=source)
    frame = replace(frame_of(tape, region, replay), price_source=source.name, carbon_source=source.name)
    days = published_days(tape, frame.region, replay, span.start, span.end)
    async with bare_client(settings) as client:
        publisher = Publisher(client.jetstream(), settings, stored)
        pace = _Pace(span.start, replay.speed)
        count = 0
        day = next(days, None)
        batch: list[Event] = []
        async for tick in ticks_of(source, span, frame, settings.patience()):
            day = _due(batch, days, day, tick.interval_start)
            batch.append(tick)
            if tick.revision:
                continue  # known, and told, together with the value that closed the gap
            count += 1
            await pace.wait_for(tick.interval_start)
            if replay.speed is not None or len(batch) >= CHUNK_INTERVALS:
                await publisher.publish(batch)
                batch.clear()
                if progress:
                    progress(count)
        await publisher.publish(batch)
        if progress:
            progress(count)
        await pace.wait_for(span.end)
    return count


def _due(
    batch: list[Event], days: Iterator[DayAheadPrices], day: DayAheadPrices | None, now: datetime
) -> DayAheadPrices | None:
    """Move the days published by `now` into the batch; return the next one."""
    while day is not None and day.published_at <= now:
        batch.append(day)
        day = next(days, None)
    return day


def _chunks(span: Span, step_seconds: int) -> Iterator[Span]:
    size = timedelta(seconds=step_seconds * CHUNK_INTERVALS)
    start = span.start
    while start < span.end:
        yield Span(start, min(start + size, span.end))
        start += size


class _Pace:
    """Event time against the event loop's clock; without a speed nothing waits."""

    def __init__(self, start: datetime, speed: float | None) -> None:
        self._start = start
        self._speed = speed
        self._began = asyncio.get_running_loop().time()

    async def wait_for(self, moment: datetime) -> None:
        if self._speed is None:
            return
        due = self._began + (moment - self._start).total_seconds() / self._speed
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
