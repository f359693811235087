"""Replays a tape onto the broker as ingest would have published it, at any speed."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from carbonshift.common.client import bare_client
from carbonshift.common.errors import InputError
from carbonshift.common.events import DayAheadPrices, Event, GridTick, Replay, rfc3339
from carbonshift.common.tape import Tape
from carbonshift.ingest.assemble import Frame, assemble
from carbonshift.ingest.dayahead import published_days
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.reading import Signal
from carbonshift.ingest.settings import IngestSettings
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
        carbon_basis=tape.sidecar.carbon_basis,
        price_market=tape.sidecar.price_market,
        price_source=RecordingSource.name,
        carbon_source=RecordingSource.name,
        replay=replay,
    )


async def ticks_of(source: RecordingSource, span: Span, frame: Frame) -> list[GridTick]:
    """The ticks of `span`, which the source reads as any other source would."""
    prices = await source.fetch(Signal.PRICE, frame.region, span.start, span.end)
    carbon = await source.fetch(Signal.CARBON, frame.region, span.start, span.end)
    return assemble(frame, prices, carbon, span.start, span.end)


async def replay_tape(
    settings: IngestSettings,
    tape: Tape,
    span: Span,
    replay: Replay,
    region: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Publish the ticks of `span`, and the day-ahead prices as they became known; return how many ticks.

    Args:
        settings: the broker and the prefix.
        tape: an opened tape.
        span: what of it.
        replay: the mark of this run; its speed paces it.
        region: in the place of the sidecar's.
        progress: called with the number of ticks published so far.
    """
    source = RecordingSource(settings, tape)
    frame = frame_of(tape, region, replay)
    days = published_days(tape, frame.region, replay, span.start, span.end)
    async with bare_client(settings) as client:
        publisher = Publisher(client.jetstream(), settings)
        pace = _Pace(span.start, replay.speed)
        count = 0
        day = next(days, None)
        for chunk in _chunks(span, tape.step_seconds):
            batch: list[Event] = []
            for tick in await ticks_of(source, chunk, frame):
                day = _due(batch, days, day, tick.interval_start)
                batch.append(tick)
                if replay.speed is not None:
                    await pace.wait_for(tick.interval_start)
                    await publisher.publish(batch)
                    batch.clear()
                count += 1
                if progress and not batch:
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
