"""What the service holds of every region, and how a forecast of one comes about. Shell."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from carbonshift.common.broker import Outlet
from carbonshift.common.errors import InputError, TransientError
from carbonshift.common.events import DayAheadPrices, GridTick, ProvidedForecast
from carbonshift.common.events.replay import mark
from carbonshift.common.plugins import load_plugin
from carbonshift.forecast.errors import NoSignalError
from carbonshift.forecast.forecaster import Forecaster, History, Outlook, sound
from carbonshift.forecast.opinion import Opinion, opinion_of
from carbonshift.forecast.proposer import Proposer
from carbonshift.forecast.provided import PROVIDER, provider_opinion
from carbonshift.forecast.record import BLEND
from carbonshift.forecast.records import Records
from carbonshift.forecast.refill import refill
from carbonshift.forecast.region import Region, heard, history_of, passed, remembered, told
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.told_ahead import ToldAhead

__all__ = ["Desk"]

PUT_SECONDS = 3_600
"""Event time between two times that a region's record is put aside."""
BROKER_SECONDS = 5.0

log = logging.getLogger("carbonshift.forecast")


class Desk:
    """Every region's past, and the models that look ahead from it."""

    def __init__(self, settings: ForecastSettings, outlet: Outlet) -> None:
        """Find the models.

        Raises: InputError where one is not installed, or the proposer cannot be used.
        """
        self._settings, self._outlet = settings, outlet
        self._models: tuple[Forecaster, ...] = tuple(
            load_plugin("carbonshift.forecasters", name)(settings) for name in settings.forecasters
        )
        self.proposer = Proposer.of(settings)
        names = [*settings.forecasters, BLEND, PROVIDER, *([self.proposer.name] if self.proposer else [])]
        if twice := sorted(name for name in names if names.count(name) > 1):
            raise InputError(f"two models are named {twice[0]!r}", "give each of CARBONSHIFT_FORECASTERS once")
        self._regions: dict[str, Region] = {}
        self._told: dict[str, dict[str, ToldAhead]] = defaultdict(dict)
        """By region and run: what is told of a run may come before its first tick."""
        self._put_at: dict[str, int] = {}
        self._failed: set[str] = set()

    async def refill(self, jetstream: JetStreamContext) -> None:
        """Hear again what was acknowledged before the service stopped."""
        for event in await refill(jetstream, self._settings):
            if isinstance(event, GridTick):
                self._regions[event.region] = remembered(self._regions.get(event.region), event, self._settings)
                self._forget_other_runs(event)
            else:
                self._hear_told(event)

    def hear(self, event: GridTick | DayAheadPrices | ProvidedForecast) -> None:
        """Take one in; a forecast may fall due."""
        if isinstance(event, GridTick):
            self._regions[event.region] = heard(self._regions.get(event.region), event, self._settings)
            self._forget_other_runs(event)
        else:
            self._hear_told(event)

    async def speak(self, jetstream: JetStreamContext, alive: Callable[[], Awaitable[None]]) -> None:
        """Publish each forecast that is due. One region's trouble is no other's.

        Args:
            jetstream: where records are kept.
            alive: is told before each: whoever waits for the end of all has to be patient.
        """
        for name, region in tuple(self._regions.items()):
            if not region.cadence.waiting:
                continue
            await alive()
            self._regions[name] = passed(region)
            try:
                self._regions[name] = await self._forecast(await self._with_record(region, jetstream))
            except (TransientError, NatsError, OSError, TimeoutError):
                self._regions[name] = region
                raise
            except Exception:
                log.exception("%s: no forecast: an error of its own", name)
            await self._put_aside(self._regions[name], jetstream)

    async def put_aside(self, jetstream: JetStreamContext) -> None:
        """Keep every record for the next start; where the broker is away the last ones stay."""
        regions = self._regions.values()
        await asyncio.gather(*(self._put_aside(region, jetstream, after_seconds=0) for region in regions))

    async def close(self) -> None:
        """Let go of the connections."""
        if self.proposer:
            await self.proposer.close()

    async def _with_record(self, region: Region, jetstream: JetStreamContext) -> Region:
        """With what was put aside of it, where it has come to be only now; without where that cannot be had."""
        if region.record.as_of or region.record.claims:
            return region
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                record = await (await Records.of(jetstream, self._settings)).get(_key(region))
        except (NatsError, TimeoutError) as error:
            log.warning("%s: nothing is known of its models: %s", region.name, error or type(error).__name__)
            return region
        return replace(region, record=record)

    def _hear_told(self, event: DayAheadPrices | ProvidedForecast) -> None:
        runs = self._told[event.region]
        run = mark(event.replay)
        runs[run] = runs.get(run, ToldAhead()).hear(event)

    def _forget_other_runs(self, tick: GridTick) -> None:
        run = mark(tick.replay)
        self._told[tick.region] = {run: self._told[tick.region].get(run, ToldAhead())}

    async def _forecast(self, region: Region) -> Region:
        """The region after its forecast is out; where there is nothing to forecast from, that is logged."""
        ahead = self._told[region.name].get(mark(region.replay), ToldAhead())
        steps = max(1, int(self._settings.horizon_seconds // region.memory.step_seconds))
        history = history_of(region, ahead, steps, self._settings.time_zone)
        try:
            outlooks = await asyncio.to_thread(self._outlooks, history, steps)
        except NoSignalError as error:
            log.warning("%s: no forecast: %s", region.name, error)
            return passed(region)
        after, forecast = told(region, history, outlooks, await self._opinions(region, history, outlooks))
        await self._outlet.publish(forecast)
        if region.cadence.skipped:
            log.info("%s: caught up, %d forecasts skipped", region.name, region.cadence.skipped)
        return after

    def _outlooks(self, history: History, steps: int) -> dict[str, Outlook]:
        """Of every model that has one; its trouble is no other's. Raises: NoSignalError where none has."""
        found: dict[str, Outlook] = {}
        refused: NoSignalError | None = None
        for model in self._models:
            try:
                found[model.name] = sound(model.predict(history, steps))
            except NoSignalError as error:
                refused = refused or error
            except Exception as error:  # a plug-in may fail in any way
                level = logging.DEBUG if model.name in self._failed else logging.ERROR
                log.log(level, "%s says nothing: %s", model.name, error or type(error).__name__, exc_info=True)
                self._failed.add(model.name)
        if not found:
            raise refused or NoSignalError("no model has an outlook", "see what is logged of them")
        return found

    async def _opinions(self, region: Region, history: History, outlooks: Mapping[str, Outlook]) -> dict[str, Opinion]:
        """Of those who are shown the outlook of the first model that has a sound one; without any nobody is asked."""
        baseline = next((outlook for outlook in outlooks.values() if not outlook.degraded), None)
        opinions: dict[str, Opinion] = {}
        if baseline is None:
            return opinions
        if (provided := provider_opinion(history, baseline)) is not None:
            opinions[PROVIDER] = provided
        if self.proposer and (
            region.replay is None or self.proposer.replays
        ):  # nobody pays for a past that is replayed
            proposal = await self.proposer.propose(region.name, history, baseline, region.memory.carbon_basis)
            if proposal is not None:
                opinions[self.proposer.name] = opinion_of(proposal)
        return opinions

    async def _put_aside(self, region: Region, jetstream: JetStreamContext, after_seconds: int = PUT_SECONDS) -> None:
        key, as_of = _key(region), region.record.as_of
        if as_of < self._put_at.get(key, 0) + after_seconds or not region.record.claims:
            return
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                await (await Records.of(jetstream, self._settings)).put(key, region.record)
        except (NatsError, TimeoutError) as error:
            log.warning("what is known of the models in %s was not put aside: %s", key, error or type(error).__name__)
        else:
            self._put_at[key] = as_of


def _key(region: Region) -> str:
    return f"{region.name}{mark(region.replay)}"
