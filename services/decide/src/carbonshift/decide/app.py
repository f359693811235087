"""Shell of decide: ticks in, states, transitions and resume tokens out. Every judgement is in `machine` and `ramp`."""

import time
from datetime import UTC, datetime

from faststream import AckPolicy, FastStream
from faststream.nats import NatsMessage, PullSub
from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.client import bare_client
from carbonshift.common.events import GridState, GridTick, GridTransition, ResumeToken, WorkerTelemetry
from carbonshift.common.plugins import load_plugin
from carbonshift.common.readback import events_of
from carbonshift.common.streams import declare_streams, stream_name, stream_of
from carbonshift.decide.machine import step
from carbonshift.decide.memories import Memories
from carbonshift.decide.policy import Policy
from carbonshift.decide.rebuild import rebuild
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.token_desk import SILENT_DEVICE_SECONDS, TokenDesk

__all__ = ["build"]


def build(settings: DecideSettings | None = None) -> FastStream:
    """Wire decide to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or DecideSettings.load()
    prefix = settings.subject_prefix
    policy: Policy = load_plugin("carbonshift.policies", settings.policy)(settings)
    broker = connect(settings)
    outlet = Outlet(broker, settings, GridTransition, ResumeToken, GridState)
    memories = Memories()
    desk = TokenDesk(settings)
    delivery = 0

    @broker.subscriber(
        GridTick.subjects(prefix),
        stream=stream_of(GridTick, prefix),
        durable=settings.service,
        pull_sub=PullSub(timeout=1),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        title="decide on a tick",
    )
    async def on_tick(tick: GridTick, message: NatsMessage) -> None:
        nonlocal memories, delivery
        number = message.raw_message.metadata.sequence.consumer
        if number != delivery + 1:
            async with bare_client(settings) as client:
                memories, _ = await rebuild(client.jetstream(), settings)
        delivery = number
        memory, transition, state = step(memories.of(tick), tick, policy, settings)
        if transition:
            await outlet.publish(transition)
        if state:
            for token in desk.issue(tick, state, time.monotonic()):
                await outlet.publish(token)
            await outlet.publish(state)  # last: it is the record that this tick is decided
        memories.keep(tick, memory)  # after the effect: a redelivered tick is decided again from the same past

    @broker.subscriber(
        WorkerTelemetry.subjects(prefix),
        no_reply=True,  # its sender waits for the stream to confirm, not for us
        title="what the devices draw",
    )
    async def on_telemetry(telemetry: WorkerTelemetry) -> None:
        desk.heard(telemetry, time.monotonic())

    app = FastStream(broker)

    @app.on_startup
    async def prepare() -> None:
        nonlocal memories, delivery
        await declare_streams(settings)
        async with bare_client(settings) as client:
            memories, delivery = await rebuild(client.jetstream(), settings)
            await _hear_the_fleet(client.jetstream(), settings, desk)

    return app


async def _hear_the_fleet(jetstream: JetStreamContext, settings: DecideSettings, desk: TokenDesk) -> None:
    """What each worker last said, as long as it counts: no watt of the budget is promised to two."""
    subject = WorkerTelemetry.subjects(settings.subject_prefix)
    stream = stream_name(WorkerTelemetry.stream, settings.subject_prefix)
    async for message, telemetry in events_of(
        jetstream, WorkerTelemetry, stream, subject, DeliverPolicy.LAST_PER_SUBJECT
    ):
        age_seconds = (datetime.now(UTC) - message.metadata.timestamp).total_seconds()
        if age_seconds < SILENT_DEVICE_SECONDS:
            desk.heard(telemetry, time.monotonic() - age_seconds)
