"""The live feed of one region, put together out of the settings: sources, chains, broker."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta

from nats.js import JetStreamContext

from carbonshift.common.client import bare_client
from carbonshift.common.errors import InputError
from carbonshift.common.events import DayAheadPrices, FuelMix, GridTick, ProvidedForecast, rfc3339
from carbonshift.common.plugins import load_plugin
from carbonshift.ingest.carbon_forecast import CarbonForecaster
from carbonshift.ingest.chain import DEADLINE_SHARE, Chain
from carbonshift.ingest.dayahead_feed import DayAheadFeed, check_market
from carbonshift.ingest.fuel_feed import LOOK_BACK as FUEL_LOOK_BACK
from carbonshift.ingest.fuel_feed import FuelFeed
from carbonshift.ingest.fuel_mix import FuelMixer
from carbonshift.ingest.metrics import IngestMetrics
from carbonshift.ingest.poll import LOOK_BACK, Feed, check_steps
from carbonshift.ingest.provided_feed import ProvidedFeed
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.published import published
from carbonshift.ingest.reading import Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource
from carbonshift.ingest.sources.faulty import FaultySource
from carbonshift.ingest.web import WebPool, utc_now

__all__ = ["Live"]

logger = logging.getLogger("carbonshift.ingest")

LONGEST_ABSENCE = timedelta(days=31)
"""A gap in what was published is filled from the sources' history so far back."""


class Live:
    """Everything between the sources and the broker."""

    def __init__(self, settings: IngestSettings, metrics: IngestMetrics) -> None:
        """Make the sources; nothing is asked yet. Raises: InputError where one cannot be had, or they do not fit."""
        self._settings = settings
        self._web = WebPool(settings.poll_seconds * DEADLINE_SHARE)
        self._metrics = metrics
        names = {*settings.price_sources, *settings.carbon_sources, settings.day_ahead_source} - {None}
        self._sources: Mapping[str, GridSource] = {
            str(name): load_plugin("carbonshift.sources", str(name))(settings, self._web)
            for name in sorted(map(str, names))
        }
        if settings.faults and FaultySource.name not in self._sources:
            raise InputError("CARBONSHIFT_FAULTS is set and no source is `faulty`", "name faulty, or unset it")
        check_steps(*self._chains(utc_now()))  # what does not fit is said before anything runs
        if settings.day_ahead_source:
            check_market(self._sources[settings.day_ahead_source])

    async def run(self) -> None:
        """Feed until cancelled."""
        now = utc_now()
        async with self._web, bare_client(self._settings) as client:
            jetstream = client.jetstream()
            told = await published(jetstream, self._settings, GridTick, now - LONGEST_ABSENCE)
            newest = max((tick.interval_start for tick in told), default=None)
            since = max(newest - LOOK_BACK, now - LONGEST_ABSENCE) if newest else None
            publisher = Publisher(jetstream, self._settings, self._metrics.stored)
            price, carbon = self._chains(since or now - timedelta(seconds=self._settings.backfill_seconds))
            feed = Feed(self._settings, price, carbon, publisher, utc_now)
            feed.resume(told)
            logger.info(
                "follows the price of %s and the carbon of %s, behind %s",
                " or ".join(self._settings.price_sources),
                " or ".join(self._settings.carbon_sources),
                rfc3339(newest) if newest else "nothing yet",
            )
            side_feeds = [side_feed.run() async for side_feed in self._side_feeds(jetstream, publisher, now)]
            await asyncio.gather(feed.run(), *side_feeds)

    async def _side_feeds(
        self, jetstream: JetStreamContext, publisher: Publisher, now: datetime
    ) -> AsyncIterator[DayAheadFeed | ProvidedFeed | FuelFeed]:
        """What is published beside the ticks: of the carbon sources, by the most preferred one that has it to give."""
        settings = self._settings
        if settings.day_ahead_source:
            source = self._sources[settings.day_ahead_source]
            days = await published(jetstream, settings, DayAheadPrices, now - timedelta(days=3))
            known = {day.first_interval_start for day in days}
            yield DayAheadFeed(settings, source, publisher, utc_now, known)
        carbon = [self._sources[name] for name in settings.carbon_sources]
        if forecaster := next((source for source in carbon if isinstance(source, CarbonForecaster)), None):
            forecasts = await published(jetstream, settings, ProvidedForecast, now - timedelta(days=1))
            made = (forecast.published_at for forecast in forecasts if forecast.source == forecaster.name)
            yield ProvidedFeed(settings, forecaster, publisher, utc_now, max(made, default=None))
        if mixer := next((source for source in carbon if isinstance(source, FuelMixer)), None):
            mixes = await published(jetstream, settings, FuelMix, now - FUEL_LOOK_BACK)
            known = {mix.interval_start for mix in mixes if mix.source == mixer.name}
            yield FuelFeed(settings, mixer, publisher, utc_now, known)

    def _chains(self, since: datetime) -> tuple[Chain, Chain]:
        settings = self._settings
        price, carbon = (
            Chain(signal, [self._sources[name] for name in names], settings, self._metrics, since, utc_now)
            for signal, names in ((Signal.PRICE, settings.price_sources), (Signal.CARBON, settings.carbon_sources))
        )
        return price, carbon
