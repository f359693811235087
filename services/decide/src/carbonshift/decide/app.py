"""Shell of decide: ticks, published prices and what workers say in; states, plans, tokens and offers out."""

import time
from datetime import UTC, datetime

from faststream import AckPolicy
from faststream.nats import NatsMessage, PullSub

from carbonshift.common.broker import Outlet
from carbonshift.common.client import bare_client
from carbonshift.common.events import (
    DayAheadPrices,
    Flexibility,
    GridForecast,
    GridState,
    GridTick,
    GridTransition,
    JobPlan,
    JobStatus,
    PowerTarget,
    ResumeToken,
    WorkerTelemetry,
)
from carbonshift.common.service import Service
from carbonshift.common.streams import stream_of
from carbonshift.decide.decider import Decider
from carbonshift.decide.metrics import DecideMetrics
from carbonshift.decide.settings import DecideSettings

__all__ = ["build"]


def build(settings: DecideSettings | None = None) -> Service:
    """Wire decide to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or DecideSettings.load()
    prefix = settings.subject_prefix
    service = Service(settings)
    broker = service.broker
    metrics = DecideMetrics(service.registry)
    outlet = Outlet(broker, settings, JobPlan, Flexibility, GridTransition, ResumeToken, GridState)
    outlet.listen(metrics.note)
    decider = Decider(settings, outlet)

    @broker.subscriber(
        GridTick.subjects(prefix),  # and published prices in the same order: the durable has both
        stream=stream_of(GridTick, prefix),
        durable=settings.service,
        pull_sub=PullSub(timeout=1),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        title="decide on a tick",
    )
    async def on_tick(event: GridTick | DayAheadPrices, message: NatsMessage) -> None:
        await decider.on_event(event, message.raw_message, (await broker.connect()).jetstream())
        if isinstance(event, GridTick):
            metrics.decided(event)

    # Without replies: their senders wait for the stream to confirm, not for us.
    @broker.subscriber(WorkerTelemetry.subjects(prefix), no_reply=True, title="what the devices draw")
    async def on_telemetry(telemetry: WorkerTelemetry) -> None:
        decider.tokens.heard(telemetry, time.monotonic())

    @broker.subscriber(GridForecast.subjects(prefix), no_reply=True, title="what somebody else expects")
    async def on_forecast(forecast: GridForecast) -> None:
        decider.on_forecast(forecast)

    @broker.subscriber(JobStatus.subjects(prefix), no_reply=True, title="how far the jobs are")
    async def on_job(status: JobStatus) -> None:
        decider.jobs.heard(status)

    @broker.subscriber(PowerTarget.subjects(prefix), no_reply=True, title="what others ask for")
    async def on_target(target: PowerTarget) -> None:
        decider.tokens.targeted(target, datetime.now(UTC))

    @service.on_startup
    async def prepare() -> None:
        async with bare_client(settings) as client:
            await decider.refill(client.jetstream())

    return service
