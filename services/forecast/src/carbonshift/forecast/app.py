"""Shell of forecast: ticks, and what others tell of the hours to come, in; forecasts out."""

from faststream import AckPolicy, FastStream
from faststream.nats import NatsMessage, PullSub

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.client import bare_client
from carbonshift.common.events import DayAheadPrices, GridForecast, GridTick, ProvidedForecast
from carbonshift.common.metrics_endpoint import serve_metrics
from carbonshift.common.streams import declare_streams, stream_of
from carbonshift.forecast.desk import Desk
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["build"]


def build(settings: ForecastSettings | None = None) -> FastStream:
    """Wire forecast to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or ForecastSettings.load()
    prefix = settings.subject_prefix
    broker = connect(settings)
    desk = Desk(settings, Outlet(broker, settings, GridForecast))

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

    app = FastStream(broker)

    @app.on_startup
    async def prepare() -> None:
        if desk.proposer and settings.metrics_port is not None:
            serve_metrics(desk.proposer.metrics.registry, settings.metrics_port)
        await declare_streams(settings)
        async with bare_client(settings) as client:
            await desk.refill(client.jetstream())

    @app.on_shutdown
    async def put_aside() -> None:
        await desk.put_aside((await broker.connect()).jetstream())

    app.after_shutdown(desk.close)
    return app
