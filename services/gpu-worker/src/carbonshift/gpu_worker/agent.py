"""The agent of a host: its boards, the guard of their limits, and the training that joins, put together."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from datetime import datetime
from functools import partial

from nats.aio.client import Client

from carbonshift.common.events import Event, GridState, GridTick, JobPlan, PowerTarget, RunState, WorkerTelemetry
from carbonshift.gpu_worker.board import Board
from carbonshift.gpu_worker.books import Books
from carbonshift.gpu_worker.crew import Crew, Holds
from carbonshift.gpu_worker.devices.choice import choose_devices
from carbonshift.gpu_worker.devices.device import Device
from carbonshift.gpu_worker.keeper import LimitChange
from carbonshift.gpu_worker.limits import GuardedLimits, Limits, OwnLimits
from carbonshift.gpu_worker.log_book import LogBook
from carbonshift.gpu_worker.outbox import Outbox
from carbonshift.gpu_worker.plans import Plans
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.spread_training import SpreadTraining
from carbonshift.gpu_worker.training_control import JobChange, TrainingControl
from carbonshift.gpu_worker.worker import Worker

__all__ = ["Agent"]

SECONDS_BETWEEN_CAPS = 1.0
"""Of a real board: what a driver may be asked; giving back excepted."""

log = logging.getLogger(__name__)


class Agent:
    """Hands what is heard to each board's worker."""

    def __init__(self, settings: GpuWorkerSettings, outbox: Outbox) -> None:
        self._settings, self._outbox = settings, outbox
        outbox.listen(self._on_own)
        self._control = TrainingControl()
        self._spread = SpreadTraining(self._control, settings.subject_prefix, settings.worker)
        self._limits: Limits | None = None
        self._devices: Sequence[Device] = ()
        self._boards_of: dict[str, frozenset[str]] = {}
        self._holds, self._plans, self._books = Holds(), Plans(), Books()
        self._following: set[asyncio.Task[None]] = set()
        self.workers: Sequence[Worker] = ()
        """One a board, once open."""

    async def open(self) -> None:
        """Take the boards, undo what an earlier run left on them, listen for training.

        Raises: CarbonShiftError where there is no board, nobody to guard it, or no place to listen.
        """
        settings = self._settings
        backend, devices = await asyncio.to_thread(choose_devices, settings)
        folder = settings.state_dir / "captured-limits"
        self._limits = (
            GuardedLimits(
                backend.name,
                devices,
                folder,
                lease_seconds=settings.guard_lease_seconds,
                restored=self._on_restored,
                may_raise=settings.may_raise,
            )
            if backend.outlives_us
            else OwnLimits(devices, folder, may_raise=settings.may_raise)
        )
        undone = await self._limits.start()
        log_book = LogBook()
        workers = []
        await asyncio.gather(*(asyncio.to_thread(device.validate_energy) for device in devices))
        for device in devices:
            board = Board(
                device,
                self._limits,
                may_raise=settings.may_raise,
                seconds_between_caps=SECONDS_BETWEEN_CAPS if backend.outlives_us else 0.0,
            )
            crew = Crew(self._control, self._spread, self._holds, device.uuid, partial(self._computes_on, device.uuid))
            workers.append(Worker(settings, self._outbox, board, crew, self._plans, self._books, log_book))
        self._devices, self.workers = devices, workers
        for worker in workers:
            await worker.open(backend.name, undone[worker.uuid])
        await asyncio.to_thread(settings.control_path.parent.mkdir, parents=True, exist_ok=True)
        await self._control.start(settings.control_path, settings.control_group)

    async def close(self) -> None:
        """Let training go on by itself, put the captured limits back, say so. Harmless where `open` did not get far."""
        for worker in self.workers:
            worker.stop()
        await self._control.close()  # a pause under way ends here, and with it whoever holds a lock
        await asyncio.gather(*(worker.close() for worker in self.workers))
        if self._limits is not None:
            await self._limits.close()

    async def on_state(self, state: GridState, published_at: datetime) -> None:
        """Follow `state`, which the broker stored at `published_at`."""
        await asyncio.gather(*(worker.on_state(state, published_at) for worker in self.workers))

    def on_tick(self, tick: GridTick) -> None:
        """Know what energy costs, and has cost, in the interval of `tick`."""
        self._books.hear(tick)

    @property
    def owed_since(self) -> datetime | None:
        """From when on energy of an earlier run waits for its ticks; None where none does."""
        return self._books.owed_since()

    async def on_plan(self, plan: JobPlan) -> None:
        """Follow `plan` where its job runs here."""
        self._plans.hear(plan)
        await asyncio.gather(*(worker.on_plan(plan) for worker in self.workers))

    async def on_target(self, target: PowerTarget) -> None:
        """Keep to `target` for as long as it is in force."""
        await asyncio.gather(*(worker.on_target(target) for worker in self.workers))

    async def on_board(self, telemetry: WorkerTelemetry, age_seconds: float = 0.0) -> None:
        """Share targets with the boards of the site."""
        hearing = [worker for worker in self.workers if worker.hears(telemetry, age_seconds)]
        await asyncio.gather(*(worker.reconsider() for worker in hearing))

    async def watch_hosts(self, client: Client) -> None:
        """Stop and release jobs together with the other hosts that have ranks of them, for ever."""
        await self._spread.run(client)

    async def watch_jobs(self) -> None:
        """Follow training processes as they join and leave, for ever."""
        while True:
            change = await self._control.changes.get()
            self._spread.look()
            if change.kind == "joined":
                boards = self._boards_of[change.view.job] = await asyncio.to_thread(self._boards_with, change)
                if change.view.run_state is RunState.PAUSED:  # by another agent: each board has to let it
                    for uuid in boards:
                        self._holds.add(change.view.job, uuid)
            await asyncio.gather(
                *(worker.on_job(change) for worker in self.workers if self._computes_on(worker.uuid, change.view.job))
            )
            if change.view.job not in self._control.jobs:
                self._boards_of.pop(change.view.job, None)
                self._holds.forget(change.view.job)

    def _computes_on(self, uuid: str, job: str) -> bool:
        return uuid in self._boards_of.get(job, ())

    def _boards_with(self, change: JobChange) -> frozenset[str]:
        """The boards that a job computes on, as far as drivers tell; every board where none does: all have to agree."""
        before = self._boards_of.get(change.view.job, frozenset()) if change.view.world_size > 1 else frozenset()
        here = frozenset(device.uuid for device in self._devices if change.view.pid in device.process_ids())
        return before | here or frozenset(device.uuid for device in self._devices)

    def _on_restored(self, uuid: str, change: LimitChange | None, cause: str) -> None:
        limits = self._limits
        if limits is None:
            return
        caps = limits.caps[uuid]
        for worker in self.workers:
            if worker.uuid == uuid:
                self._spawn(worker.on_restored(change, cause, lambda: limits.caps[uuid] == caps))

    def _on_own(self, event: Event) -> None:
        """The boards of one host hear each other here: the broker does not send them back what is theirs."""
        if isinstance(event, WorkerTelemetry):
            for worker in self.workers:
                if worker.hears(event):
                    self._spawn(worker.reconsider())  # whose lock is no matter of who tells

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._following.add(task)
        task.add_done_callback(self._following.discard)
