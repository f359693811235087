"""Polls a source on the clock of the world and publishes what is new."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from carbonshift.common.client import bare_client
from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.events import GridTick
from carbonshift.ingest.assemble import Frame, assemble
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource

__all__ = ["changed", "poll"]

logger = logging.getLogger("carbonshift.ingest")


def changed(ticks: list[GridTick], published: dict[datetime, GridTick]) -> list[GridTick]:
    """The ticks that say something new: intervals not yet published, and corrections as the next revision. Pure.

    An interval without any value is not published until one behind it has some: its value may only be late.
    """
    known = [tick.price_usd_per_mwh is not None or tick.carbon_g_per_kwh is not None for tick in ticks]
    last = max((index for index, has_value in enumerate(known) if has_value), default=-1)
    news: list[GridTick] = []
    for tick in ticks[: last + 1]:
        before = published.get(tick.interval_start)
        if before is None:
            news.append(tick)
        elif (before.price_usd_per_mwh, before.carbon_g_per_kwh) != (tick.price_usd_per_mwh, tick.carbon_g_per_kwh):
            news.append(tick.model_copy(update={"revision": before.revision + 1}))
    return news


async def poll(settings: IngestSettings, source: GridSource) -> None:
    """Ask `source` for the last intervals again and again; a failed poll is logged and the next one comes."""
    step = timedelta(seconds=source.interval_seconds)
    published: dict[datetime, GridTick] = {}
    frame = Frame(
        region=settings.region,
        interval_seconds=source.interval_seconds,
        carbon_basis=source.carbon_basis,
        price_market=source.price_market,
        price_source=source.name,
        carbon_source=source.name,
    )
    async with bare_client(settings) as client:
        publisher = Publisher(client.jetstream(), settings)
        while True:
            now = datetime.now(UTC)
            end = (
                datetime.fromtimestamp(now.timestamp() // source.interval_seconds * source.interval_seconds, UTC) + step
            )
            start = end - step * settings.backfill_intervals
            try:
                readings = {signal: await _fetch(source, signal, settings.region, start, end) for signal in Signal}
            except CarbonShiftError as error:
                logger.warning("%s: %s", source.name, error)
            else:
                ticks = assemble(frame, readings[Signal.PRICE], readings[Signal.CARBON], start, end, now)
                news = changed(ticks, published)
                await publisher.publish(news)
                published |= {tick.interval_start: tick for tick in news}
                published = {moment: tick for moment, tick in published.items() if moment >= start}
            await asyncio.sleep(settings.poll_seconds)


async def _fetch(source: GridSource, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
    return await source.fetch(signal, region, start, end) if signal in source.signals else []
