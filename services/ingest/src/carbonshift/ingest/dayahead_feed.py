"""Publishes day-ahead prices of the live market as soon as all of a local day is known."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import ClassVar
from zoneinfo import ZoneInfo

from carbonshift.common.errors import InputError
from carbonshift.common.events import DayAheadPrices, PriceMarket
from carbonshift.ingest.dayahead import midnight
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.side_feed import Question, SideFeed
from carbonshift.ingest.source import GridSource

__all__ = ["DayAheadFeed", "check_market", "day_prices"]

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
class DayAheadFeed(SideFeed[DayAheadPrices]):
    """Today's and tomorrow's prices of one market, each day once."""

    what: ClassVar[str] = "its day ahead"

    published: set[datetime] = field(default_factory=set)
    """When the days begin that are."""

    def questions(self, now: datetime) -> Iterator[Question[DayAheadPrices]]:
        zone = ZoneInfo(self.source.time_zone)
        local = now.astimezone(zone)
        days = [local.date()]
        if local.hour >= EARLIEST_LOCAL_HOUR:
            days.append(local.date() + timedelta(days=1))
        return (partial(self._prices, day, zone, now) for day in days if midnight(day, zone) not in self.published)

    def keep(self, news: Sequence[DayAheadPrices]) -> None:
        self.published |= {day.first_interval_start for day in news}

    async def _prices(self, day: date, zone: ZoneInfo, now: datetime) -> list[DayAheadPrices]:
        """None while the day is not known."""
        region, step_seconds = self.settings.region, self.source.interval_seconds
        span = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        readings = await self.source.fetch(Signal.PRICE, region, *span)
        prices = day_prices(region, day, zone, step_seconds, readings, now)
        return [prices] if prices else []
