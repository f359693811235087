"""Shell of gpu-worker: grid states and resume tokens in, worker events, telemetry and job status out."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial

from faststream import AckPolicy, FastStream
from faststream.nats import NatsMessage
from nats.js.api import DeliverPolicy

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.events import DeadLetter, GridState, JobStatus, WorkerEvent, WorkerTelemetry
from carbonshift.common.streams import declare_streams, stream_of, token_durable
from carbonshift.gpu_worker.outbox import Outbox
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.tokens import TokenClaim
from carbonshift.gpu_worker.worker import Worker

__all__ = ["build"]

IDLE_HEARTBEAT_SECONDS = 1.0
"""Two of them missed, as after a restart of the broker, and the subscription is made anew from where it was."""
LAST_WORDS_SECONDS = 5.0
"""How long a worker that stops waits for its last events to be stored."""

log = logging.getLogger(__name__)


def build(settings: GpuWorkerSettings | None = None) -> FastStream:
    """Hold this host's GPU and the training on it to what its grid region and its site allow."""
    settings = settings or GpuWorkerSettings.load()
    prefix = settings.subject_prefix
    broker = connect(settings)
    outbox = Outbox(Outlet(broker, settings, WorkerEvent, WorkerTelemetry, JobStatus, DeadLetter))
    worker = Worker(settings, outbox)
    claim = TokenClaim(settings, worker, outbox)
    parts: set[asyncio.Task[None]] = set()
    publishing: set[asyncio.Task[None]] = set()

    # Without a durable: each worker reads every state of its region, from the last on, in order.
    @broker.subscriber(
        f"{prefix}.{GridState.address.format(region=settings.region)}",
        stream=stream_of(GridState, prefix),
        ordered_consumer=True,
        idle_heartbeat=IDLE_HEARTBEAT_SECONDS,
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        ack_policy=AckPolicy.MANUAL,
        title="follow the state of the grid",
    )
    async def on_state(state: GridState, message: NatsMessage) -> None:
        await worker.on_state(state, message.raw_message.metadata.timestamp)

    def spawn(work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        among.add(task)
        task.add_done_callback(ended)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.critical("the worker stops: a part of it failed", exc_info=error)
            app.exit()

    async def start() -> None:
        spawn(outbox.run(), publishing)
        spawn(worker.watch_jobs(), parts)
        spawn(worker.watch_time(), parts)
        spawn(claim.run(await broker.connect()), parts)

    async def stop() -> None:
        await _cancel(parts)
        await worker.close()
        if publishing:
            with suppress(TimeoutError):
                await asyncio.wait_for(outbox.emptied(), LAST_WORDS_SECONDS)
        await _cancel(publishing)

    app = FastStream(
        broker,
        on_startup=[partial(declare_streams, settings, [token_durable(settings.site)]), worker.open],
        after_startup=[start],
        on_shutdown=[stop],
    )
    return app


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
