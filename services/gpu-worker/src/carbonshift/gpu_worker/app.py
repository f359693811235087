"""Shell of gpu-worker: states, plans, targets and resume tokens in, worker events, telemetry and job status out."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from faststream import AckPolicy
from faststream.nats import NatsBroker, NatsMessage
from nats.js.api import DeliverPolicy

from carbonshift.common.broker import Outlet
from carbonshift.common.client import bare_client
from carbonshift.common.events import (
    DeadLetter,
    EnergyUse,
    GridState,
    GridTick,
    JobPlan,
    JobStatus,
    PowerTarget,
    WorkerEvent,
    WorkerTelemetry,
)
from carbonshift.common.readback import events_of
from carbonshift.common.service import Service
from carbonshift.common.streams import stream_name, stream_of, token_durable
from carbonshift.gpu_worker.agent import Agent
from carbonshift.gpu_worker.metrics import Metrics
from carbonshift.gpu_worker.outbox import Outbox
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.tokens import TokenClaim

__all__ = ["build"]

IDLE_HEARTBEAT_SECONDS = 1.0
"""Two of them missed, as after a restart of the broker, and the subscription is made anew from where it was."""
LAST_WORDS_SECONDS = 5.0
"""How long a worker that stops waits for its last events to be stored."""

log = logging.getLogger(__name__)


def build(settings: GpuWorkerSettings | None = None) -> Service:
    """Hold this host's GPUs and the training on it to what its grid region and its site allow."""
    settings = settings or GpuWorkerSettings.load()
    service = Service(settings, durables=[token_durable(settings.site)], no_echo=True)
    broker = service.broker
    metrics = Metrics()
    service.registry.register(metrics)
    outlet = Outlet(broker, settings, WorkerEvent, WorkerTelemetry, EnergyUse, JobStatus, DeadLetter)
    outbox = Outbox(outlet)
    outbox.listen(metrics.note)
    agent = Agent(settings, outbox)
    parts: set[asyncio.Task[None]] = set()
    publishing: set[asyncio.Task[None]] = set()
    failed: list[BaseException] = []

    _listen(broker, settings, agent)

    def spawn(work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        among.add(task)
        task.add_done_callback(partial(_ended, service, failed))

    async def start() -> None:
        spawn(outbox.run(), publishing)
        spawn(agent.watch_jobs(), parts)
        client = await broker.connect()
        spawn(agent.watch_hosts(client), parts)
        for worker in agent.workers:
            spawn(worker.watch_time(), parts)
            spawn(TokenClaim(settings, worker, outbox).run(client), parts)

    async def stop() -> None:
        await _cancel(parts)
        await agent.close()
        if publishing:
            await _last_words(outbox)
        await _cancel(publishing)

    async def fail() -> None:
        if failed:
            raise failed[0]

    service.on_startup(agent.open)
    service.on_startup(partial(_hear_the_site, settings, agent))
    service.on_startup(partial(_hear_what_is_owed, settings, agent))
    service.after_startup(start)
    service.on_shutdown(stop)
    service.after_shutdown(fail)
    return service


def _listen(broker: NatsBroker, settings: GpuWorkerSettings, agent: Agent) -> None:
    """Hand the agent what it has to hear."""
    prefix = settings.subject_prefix
    follow = partial(
        broker.subscriber, ordered_consumer=True, idle_heartbeat=IDLE_HEARTBEAT_SECONDS, ack_policy=AckPolicy.MANUAL
    )

    # Without a durable: each worker reads every state of its region, from the last on, in order.
    @follow(
        f"{prefix}.{GridState.address.format(region=settings.region)}",
        stream=stream_of(GridState, prefix),
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        title="follow the state of the grid",
    )
    async def on_state(state: GridState, message: NatsMessage) -> None:
        await agent.on_state(state, message.raw_message.metadata.timestamp)

    @follow(
        f"{prefix}.{GridTick.address.format(region=settings.region)}",
        stream=stream_of(GridTick, prefix),
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        title="know what energy costs here",
    )
    async def on_tick(tick: GridTick) -> None:
        agent.on_tick(tick)

    # Of every job in the fleet: which of them will train here nobody knows. A plan may come before its job joins.
    @follow(
        JobPlan.subjects(prefix),
        stream=stream_of(JobPlan, prefix),
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        title="follow the plans of the jobs here",
    )
    async def on_plan(plan: JobPlan) -> None:
        await agent.on_plan(plan)

    # From the beginning: of several that overlap the last one is not all that is in force.
    @follow(
        f"{prefix}.{PowerTarget.address.format(site=settings.site)}",
        stream=stream_of(PowerTarget, prefix),
        deliver_policy=DeliverPolicy.ALL,
        title="keep to what others ask for",
    )
    async def on_target(target: PowerTarget) -> None:
        await agent.on_target(target)

    @broker.subscriber(
        WorkerTelemetry.subjects(prefix),
        no_reply=True,  # its sender waits for the stream to confirm, not for us
        title="what the other boards of the site could draw",
    )
    async def on_board(telemetry: WorkerTelemetry) -> None:
        await agent.on_board(telemetry)


async def _hear_the_site(settings: GpuWorkerSettings, agent: Agent) -> None:
    """What the other boards last said, as long as it counts: no watt of a target is taken twice."""
    stream = stream_name(WorkerTelemetry.stream, settings.subject_prefix)
    subject = WorkerTelemetry.subjects(settings.subject_prefix)
    async with bare_client(settings) as client:
        async for message, telemetry in events_of(
            client.jetstream(), WorkerTelemetry, stream, subject, DeliverPolicy.LAST_PER_SUBJECT
        ):
            age = datetime.now(UTC) - message.metadata.timestamp
            await agent.on_board(telemetry, age.total_seconds())


async def _hear_what_is_owed(settings: GpuWorkerSettings, agent: Agent) -> None:
    """The ticks of what an earlier run has metered and could not price."""
    if (since := agent.owed_since) is None:
        return
    stream = stream_name(GridTick.stream, settings.subject_prefix)
    subject = f"{settings.subject_prefix}.{GridTick.address.format(region=settings.region)}"
    async with bare_client(settings) as client:
        async for _, tick in events_of(
            client.jetstream(), GridTick, stream, subject, DeliverPolicy.BY_START_TIME, opt_start_time=since
        ):
            agent.on_tick(tick)


def _ended(service: Service, failed: list[BaseException], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        failed.append(error)
        log.critical("the worker stops: a part of it failed", exc_info=error)
        service.exit()


async def _last_words(outbox: Outbox) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(outbox.emptied(), LAST_WORDS_SECONDS)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
