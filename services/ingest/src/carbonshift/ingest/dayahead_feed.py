"""Publishes day-ahead prices of the live market as soon as all of a local day is known."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from carbonshift.common.errors import CarbonShiftError, InputError
from carbonshift.common.events import DayAheadPrices, PriceMarket
from carbonshift.ingest.dayahead import midnight
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource

__all__ = ["DayAheadFeed", "check_market", "day_prices"]

logger = logging.getLogger("carbonshift.ingest")

PAUSE_SECONDS = 300.0
EARLIEST_LOCAL_HOUR = 9
"""Of the day before: no market known here publishes earlier."""


def day_prices(
    region: str, day: date, zone: ZoneInfo, step_seconds: int, readings: Iterable[Reading], now: datetime
) -> DayAheadPrices | None:
    """The prices of the local `day`; None while one of them is missing and the day has not begun. Pure.

    A day has 23 or 25 hours where the clock changes.
    """
    start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    price_at = {reading.interval_start: reading.value for reading in readings}
    step = timedelta(seconds=step_seconds)
    prices = tuple(price_at.get(start + step * number) for number in range((end - start) // step))
    if (None in prices and now < start) or all(price is None for price in prices):
        return None
    return DayAheadPrices(
        region=region,
        published_at=now,
        step_seconds=step_seconds,
        first_interval_start=start,
        prices_usd_per_mwh=prices,
    )


def check_market(source: GridSource) -> None:
    """Raises: InputError where the source tells no day-ahead prices."""
    if Signal.PRICE not in source.signals or source.price_market is not PriceMarket.DAY_AHEAD:
        raise InputError(f"{source.name} tells no day-ahead prices", "set day_ahead_source to one that does")


@dataclass(slots=True)
class DayAheadFeed:
    """Today's and tomorrow's prices of one market, each day once."""

    settings: IngestSettings
    source: GridSource
    publisher: Publisher
    clock: Callable[[], datetime]
    published: set[datetime] = field(default_factory=set)

    async def poll(self) -> list[DayAheadPrices]:
        """Publish the days that have become known, and return them."""
        zone = ZoneInfo(self.source.time_zone)
        now = self.clock()
        local = now.astimezone(zone)
        days = [local.date()]
        if local.hour >= EARLIEST_LOCAL_HOUR:
            days.append(local.date() + timedelta(days=1))
        news: list[DayAheadPrices] = []
        for day in days:
            start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
            if start in self.published:
                continue
            readings = await self._readings(start, end)
            prices = day_prices(self.settings.region, day, zone, self.source.interval_seconds, readings, now)
            if prices:
                news.append(prices)
        await self.publisher.publish(news)
        self.published |= {day.first_interval_start for day in news}
        return news

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await self.poll()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _readings(self, start: datetime, end: datetime) -> list[Reading]:
        """Of one day; none where the source fails: it withholds no other day, and is asked again."""
        try:
            return await self.source.fetch(Signal.PRICE, self.settings.region, start, end)
        except CarbonShiftError as error:
            logger.warning("%s: %s", self.source.name, error)
        except Exception:
            logger.exception("%s has an error of its own; it is asked again", self.source.name)
        return []
