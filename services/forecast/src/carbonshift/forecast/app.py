"""Shell of forecast: ticks in, forecasts out. What is remembered and said is in `region`."""

import asyncio
import logging

from faststream import AckPolicy, FastStream
from faststream.nats import NatsMessage, PullSub

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.client import bare_client
from carbonshift.common.events import GridForecast, GridTick
from carbonshift.common.plugins import load_plugin
from carbonshift.common.streams import declare_streams, stream_of
from carbonshift.forecast.errors import NoSignalError
from carbonshift.forecast.forecaster import Forecaster
from carbonshift.forecast.refill import refill
from carbonshift.forecast.region import Region, heard, passed, remembered, told
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["build"]

logger = logging.getLogger("carbonshift.forecast")


def build(settings: ForecastSettings | None = None) -> FastStream:
    """Wire forecast to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or ForecastSettings.load()
    prefix = settings.subject_prefix
    forecaster: Forecaster = load_plugin("carbonshift.forecasters", settings.forecaster)(settings)
    broker = connect(settings)
    outlet = Outlet(broker, settings, GridForecast)
    regions: dict[str, Region] = {}

    @broker.subscriber(
        GridTick.subjects(prefix),
        stream=stream_of(GridTick, prefix),
        durable=settings.service,
        pull_sub=PullSub(timeout=1),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        title="remember a tick",
    )
    async def on_tick(tick: GridTick, message: NatsMessage) -> None:
        regions[tick.region] = heard(regions.get(tick.region), tick, settings)
        if message.raw_message.metadata.num_pending:
            return  # newer ones wait: catch up first
        for name, region in tuple(regions.items()):
            if region.cadence.waiting:
                regions[name] = await _forecast(region, forecaster, outlet, settings)

    app = FastStream(broker)

    @app.on_startup
    async def prepare() -> None:
        await declare_streams(settings)
        async with bare_client(settings) as client:
            for tick in await refill(client.jetstream(), settings):
                regions[tick.region] = remembered(regions.get(tick.region), tick, settings)

    return app


async def _forecast(region: Region, forecaster: Forecaster, outlet: Outlet, settings: ForecastSettings) -> Region:
    """The region after its forecast is out; where there is nothing to forecast from, that is logged."""
    history = region.memory.history()
    steps = max(1, int(settings.horizon_seconds // history.step_seconds))
    try:
        outlook = await asyncio.to_thread(forecaster.predict, history, steps)
    except NoSignalError as error:
        logger.warning("%s: no forecast: %s", region.name, error)
        return passed(region)
    after, forecast = told(region, forecaster.name, outlook)
    await outlet.publish(forecast)
    if region.cadence.skipped:
        logger.info("%s: caught up, %d forecasts skipped", region.name, region.cadence.skipped)
    return after
