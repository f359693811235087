"""Shell of forecast: ticks, and what others tell of the hours to come, in; forecasts out."""

from faststream import AckPolicy
from faststream.nats import NatsMessage, PullSub

from carbonshift.common.broker import Outlet
from carbonshift.common.client import bare_client
from carbonshift.common.events import DayAheadPrices, GridForecast, GridTick, ProvidedForecast
from carbonshift.common.service import Service
from carbonshift.common.streams import stream_of
from carbonshift.forecast.desk import Desk
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["build"]


def build(settings: ForecastSettings | None = None) -> Service:
    """Wire forecast to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or ForecastSettings.load()
    prefix = settings.subject_prefix
    service = Service(settings)
    broker = service.broker
    desk = Desk(settings, Outlet(broker, settings, GridForecast))
    if desk.proposer:
        service.registry.register(desk.proposer.metrics)

    @broker.subscriber(
        GridTick.subjects(prefix),  # and what others tell of the future, in the same order: the durable has all three
        stream=stream_of(GridTick, prefix),
        durable=settings.service,
        pull_sub=PullSub(timeout=1),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        title="remember a tick",
    )
    async def on_event(event: GridTick | DayAheadPrices | ProvidedForecast, message: NatsMessage) -> None:
        desk.hear(event)
        if not message.raw_message.metadata.num_pending:  # newer ones wait: catch up first
            await desk.speak((await broker.connect()).jetstream(), message.raw_message.in_progress)

    @service.on_startup
    async def prepare() -> None:
        async with bare_client(settings) as client:
            await desk.refill(client.jetstream())

    @service.on_shutdown
    async def put_aside() -> None:
        await desk.put_aside((await broker.connect()).jetstream())

    service.after_shutdown(desk.close)
    return service
