"""One board at work: states, plans, targets, tokens, jobs and time come in; limits, pauses and events go out.

One at a time. Every judgement is in the pure modules (`orders`, `allowance`, `event_clock`, `lease`, `plans`,
`site_limit`, `meter`, `job_work`); here is their order.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.events import (
    EnergyBasis,
    EnergyUse,
    GridState,
    JobPlan,
    JobStatus,
    PowerTarget,
    Pulse,
    ResumeToken,
    RunState,
    WorkerEvent,
    WorkerEventKind,
    WorkerTelemetry,
)
from carbonshift.gpu_worker.allowance import Allowance, Verdict, follow, judge, take
from carbonshift.gpu_worker.board import Board
from carbonshift.gpu_worker.board_account import BoardAccount
from carbonshift.gpu_worker.books import Books
from carbonshift.gpu_worker.crew import Crew
from carbonshift.gpu_worker.devices.report import NOT_PERSISTENT
from carbonshift.gpu_worker.errors import (
    CapRefusedError,
    CapturedLimitError,
    DeviceTroubleError,
    ForeignLimitError,
    GuardError,
    JobUnknownError,
    LeverChangedError,
    PauseInterruptedError,
    PauseTimeoutError,
    SeveralProcessesError,
)
from carbonshift.gpu_worker.event_clock import EventClock
from carbonshift.gpu_worker.job_work import JobWork
from carbonshift.gpu_worker.keeper import LimitChange
from carbonshift.gpu_worker.lease import lease_end
from carbonshift.gpu_worker.log_book import LogBook
from carbonshift.gpu_worker.meter import Load, Meter
from carbonshift.gpu_worker.modelled_training import ModelledTraining
from carbonshift.gpu_worker.obeyed import Cap
from carbonshift.gpu_worker.orders import Cause, Mode, Order, lets_run, order
from carbonshift.gpu_worker.outbox import Outbox
from carbonshift.gpu_worker.parked_training import ParkedTraining
from carbonshift.gpu_worker.parking import Tier
from carbonshift.gpu_worker.plans import Plans
from carbonshift.gpu_worker.setpoint import meaning_of
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.site_limit import SiteLimit
from carbonshift.gpu_worker.training_control import JobChange, PauseReceipt
from carbonshift.gpu_worker.training_process import JobView

__all__ = ["Worker"]

Detail = float | int | str | bool | None

JOINING_SECONDS = 60.0
"""Within which the processes of one job join."""

log = logging.getLogger(__name__)


class Worker:
    """Holds one board and the training on it to their allowance."""

    _allowance: Allowance

    def __init__(
        self,
        settings: GpuWorkerSettings,
        outbox: Outbox,
        board: Board,
        crew: Crew,
        plans: Plans,
        books: Books,
        log_book: LogBook,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._board, self._crew, self._plans, self._log_book = board, crew, plans, log_book
        self._account = BoardAccount(settings, books, board.device.uuid)
        self._parked_training = ParkedTraining(settings, board, crew, partial(self._event, WorkerEventKind.PARKED))
        self._modelled = ModelledTraining(settings.worker) if settings.modelled_job else None
        self._meaning = meaning_of(board.device.name, settings.setpoint_by_model, settings.setpoint)
        self._lock = asyncio.Lock()
        self._opened = self._closing = False
        self._state: GridState | None = None
        self._clock: EventClock | None = None
        self._lease_end: datetime | None = None
        self._lease_told = False
        self._sound_until: datetime | None = None
        self._site_limit = SiteLimit()
        self._order: Order | None = None
        self._waiting: frozenset[str] = frozenset()
        self._work = JobWork()
        self._drawing: tuple[str, ...] = ()
        self._parked = False
        self._progress_due_seconds = 0.0
        self._tokens_taken = 0
        self._incomplete_since: dict[str, float] = {}
        self._told_outdone = False
        self.changed = asyncio.Event()
        """Set once when something has changed, then replaced by a new one: take it before you look."""

    async def open(self, backend: str, undone: LimitChange | CarbonShiftError | None) -> None:
        """Take the board, and say what it is and what was `undone` of an earlier run.

        Raises: DeviceTroubleError.
        """
        board, device = self._board, self._board.device
        await board.open()
        if before := await self._account.load(self._now()):
            await board.resume(*before)
        if isinstance(undone, CarbonShiftError):
            board.give_up_limits()
        self._allowance = Allowance.at_start(
            parked_w=self._settings.parked_w or device.curve.parked_w, floor_w=board.range.min_limit_w
        )
        await self._settle()
        persistent = await asyncio.to_thread(lambda: device.persistent)
        if persistent is False:
            log.warning("%s: %s; %s", self.uuid, NOT_PERSISTENT.what, NOT_PERSISTENT.remedy)
        await self._event(
            WorkerEventKind.REGISTERED,
            backend=backend,
            name=device.name,
            min_limit_w=device.min_limit_w,
            max_limit_w=device.max_limit_w,
            default_limit_w=device.default_limit_w,
            captured_limit_w=board.captured_w,
            parked_w=self._allowance.parked_w,
            energy_basis=board.energy_basis,
            setpoint=self._meaning,
            persistent=persistent,
        )
        if isinstance(undone, CarbonShiftError):
            await self._refused(undone)
        elif undone:
            await self._limit_event(WorkerEventKind.RESTORED, undone, "an earlier run ended without restoring it")
        self._opened = True

    def stop(self) -> None:
        """Do nothing more but `close`."""
        self._closing = True

    async def close(self) -> None:
        """Put the captured limit back and say so. Harmless where `open` did not get far."""
        if not self._opened:
            return
        await self._parked_training.close()
        async with self._lock:
            await self._uncap("stop")
            await self._telemetry(last=True)

    async def on_state(self, state: GridState, published_at: datetime) -> None:
        """Follow `state`, which the broker stored at `published_at`."""
        async with self._lock:
            if self._closing or not self._is_news(state, published_at):
                return
            await self._enter(state, published_at)
            await self._follow()
            await self._telemetry()
            await self._progress()
        self._notify()
        await self._outbox.room()

    async def on_plan(self, plan: JobPlan) -> None:
        """Follow `plan`, one of the plans that have been heard, where its job runs here, once it has begun."""
        if plan.job in self._jobs():
            await self.reconsider()

    async def on_target(self, target: PowerTarget) -> None:
        """Keep to `target` for as long as it is in force."""
        self._site_limit.ask(target, datetime.now(UTC))
        await self.reconsider()

    def hears(self, telemetry: WorkerTelemetry, age_seconds: float = 0.0) -> bool:
        """Note what another board of the site, as it told `age_seconds` ago, could draw: whether that is news."""
        board = (telemetry.worker, telemetry.device_uuid)
        if telemetry.site != self._settings.site or board == (self._settings.worker, self.uuid):
            return False
        return self._site_limit.hear(board, telemetry.ceiling_w, time.monotonic() - age_seconds)

    async def on_job(self, change: JobChange) -> None:
        """A training process has joined or left this board."""
        async with self._lock:
            job = change.view.job
            await self._settle()
            if change.kind == "joined":
                self._parked_training.joined(job)
                await self._job_status(change.view, change.view.run_state)
            elif change.kind == "left" and job not in self._crew.jobs:
                self._incomplete_since.pop(job, None)
                self._parked_training.ended(job)
                await self._job_status(change.view, RunState.ENDED)
                self._work = self._work.without(job)
            await self._follow("job")
            await self._telemetry()
        self._notify()

    async def on_restored(self, change: LimitChange | None, cause: str, still: Callable[[], bool]) -> None:
        """The limit has been given back unasked: the guard had not heard of us, or had to be replaced.

        Not `still` so where the board was capped anew before it is this one's turn.
        """
        async with self._lock:
            if not still():
                return
            self._board.note_restored(change)
            if change:
                await self._limit_event(WorkerEventKind.RESTORED, change, cause)
            if not self._closing:
                await self._follow()
                await self._telemetry()
        self._notify()

    async def watch_time(self) -> None:
        """Notice what time alone changes, retry what has failed, publish telemetry and progress; for ever."""
        while True:
            async with self._lock:
                if self._state and not self._leased() and not self._lease_told:
                    self._lease_told = True
                    await self._event(WorkerEventKind.LEASE_EXPIRED, state=self._state.state, run=self._state.run)
                await self._follow()
                await self._telemetry()
                if time.monotonic() >= self._progress_due_seconds:
                    await self._progress()
            self._notify()
            await self._next_look()

    @property
    def uuid(self) -> str:
        """Of the board."""
        return self._board.device.uuid

    @property
    def wants(self) -> bool:
        """Whether a token would be of use now."""
        known = self._state is not None and self._state.state is not Pulse.UNKNOWN
        return known and self._allowance.wants and self._leased() and not self._closing

    def judge(self, token: ResumeToken) -> Verdict:
        """What to do with `token` now."""
        if self._state is None or not self._leased():
            return Verdict.HAND_BACK
        return judge(token, self._allowance, self._state, self._now())

    def wait_seconds(self, token: ResumeToken) -> float | None:
        """Seconds until `token` is due; None where another state has to come first."""
        if self._clock is None:
            return None
        return self._clock.wait_seconds(token.not_before, wall=datetime.now(UTC), monotonic_seconds=time.monotonic())

    async def spend(self, token: ResumeToken) -> bool:
        """Raise the allowance by `token`, which is gone from the broker; False where it has become void meanwhile."""
        async with self._lock:
            if self._closing or self.judge(token) is not Verdict.TAKE:
                return False
            self._allowance = take(self._allowance, token)
            self._tokens_taken += 1
            await self._follow("token")
            await self._telemetry()
        self._notify()
        return True

    def _is_news(self, state: GridState, published_at: datetime) -> bool:
        """Whether `state` is later than the one in force, and its lease has not run out before it came.

        A replay once followed is followed through: a worker that lags behind it shall not skip its ticks.
        """
        mine = self._state
        same_run = mine is not None and _run(mine) == _run(state)
        if mine and same_run and state.interval_start <= mine.interval_start:
            return False
        if same_run and state.replay:
            return True
        if state.replay and mine and not mine.replay and self._leased():
            log.warning("a replay comes on region %s, whose own state is in force: it is not followed", state.region)
            return False
        if lease_end(state, published_at, self._settings.replay_lease_seconds) > datetime.now(UTC):
            return True
        log.info("the state of %s came too late to be followed", state.interval_start)
        return False

    async def _enter(self, state: GridState, published_at: datetime) -> None:
        """Make `state` the one in force, and its time ours."""
        await self._settle()
        wall, before = datetime.now(UTC), self._now()
        same_time = _run(self._state) == _run(state)
        self._clock = EventClock.of(
            state,
            elapsed_seconds=max(0.0, (wall - published_at).total_seconds()),
            monotonic_seconds=time.monotonic(),
        )
        if same_time:
            self._clock = self._clock.reach(before)
        elif self._board.meter:
            self._board.meter = self._board.meter.jump(self._now())
        self._state = state
        self._lease_end = lease_end(state, wall, self._settings.replay_lease_seconds)
        self._lease_told = False
        if state.state is not Pulse.UNKNOWN or self._sound_until is None:
            self._sound_until = self._lease_end

    async def reconsider(self) -> None:
        """Follow what has been heard, and say so where it has changed anything."""
        async with self._lock:
            if self._closing or self._state is None:
                return
            before = self._allowance, self._waiting
            await self._follow()
            if before != (self._allowance, self._waiting):
                await self._telemetry()
        self._notify()

    async def _follow(self, cause: str | None = None) -> None:
        """Make board and jobs do what the allowance says. Down: together, at once. Up: the limit, then the jobs.

        `cause` is what limits are changed for, where it is not the order in force.
        """
        self._refresh()
        jobs = self._jobs()
        if not jobs:
            return await self._uncap("no job")
        await self._settle()
        if self._falls_back("restore"):
            await self._uncap(Cause.FALLBACK)
        elif self._allowance.running:
            await self._parked_training.free_clocks()
            if not await self._cap(cause):
                return await self._follow(cause)
            await self._tell_paused(await self._pause(self._waiting & jobs.keys()))
            await self._resume(jobs.keys() - self._waiting)
        else:
            if any(view.run_state is RunState.RUNNING for view in jobs.values()):
                await self._parked_training.free_clocks()  # also of what runs on to where it can be left
            async with asyncio.TaskGroup() as both:
                pausing = both.create_task(self._pause(jobs.keys()))
                await self._cap(cause)
            await self._tell_paused(pausing.result())
            await self._sink()
            if pausing.result():
                self._tokens_taken = 0  # those of the next resume are counted from here
        await self._settle()
        return None

    def _refresh(self) -> None:
        """The allowance under the order in force and the board as it is."""
        board, state = self._board, self._state
        floor_w = board.range.min_limit_w
        allowance = replace(self._allowance, floor_w=floor_w, parked_w=min(self._allowance.parked_w, floor_w))
        if state is not None:
            modes, held = self._modes(state), state.state is Pulse.UNKNOWN or not self._leased()
            if not held:
                self._waiting = frozenset(job for job, mode in modes.items() if not lets_run(state, mode))
            self._order = order(
                state,
                list(modes.values()),
                held=held,
                board=board.range,
                ceiling_w=board.ceiling_w,
                meaning=self._meaning,
                share_w=self._site_limit.share_w(self._ceiling_w(), datetime.now(UTC), time.monotonic()),
                fallback_w=floor_w if self._falls_back("cap") else math.inf,
            )
            allowance = follow(allowance, self._order)
        self._allowance = allowance

    def _modes(self, state: GridState) -> dict[str, Mode | None]:
        """What the plan of each job here says now; None where none is in force."""
        now = self._now()
        return {job: self._plans.mode(job, _run(state), now) for job in self._jobs()}

    async def _cap(self, cause: str | None) -> bool:
        """Set the allowance's limit; False where the board has refused it for good and its range is now one point."""
        try:
            cap = await self._board.cap(self._allowance.limit_w)
        except LeverChangedError as error:
            board = self._board.range
            await self._refused(error, min_limit_w=board.min_limit_w, max_limit_w=board.max_limit_w)
            self._refresh()
            return await self._cap(cause)
        except CapRefusedError as error:
            await self._refused(error)
            self._board.give_up_limits()
            self._refresh()
            return False
        except ForeignLimitError as error:
            await self._event(
                WorkerEventKind.FOREIGN_LIMIT, stands_w=error.stands_w, problem=error.problem, remedy=error.remedy
            )
            self._refresh()
            return False
        except (CapturedLimitError, DeviceTroubleError, GuardError) as error:
            log.warning("%s", error)
            return True
        if cap:
            whose = cause or (self._order.cause if self._order else "no state")
            await self._limit_event(WorkerEventKind.CAPPED, cap.change, whose, **cap.differences)
            self._warn_outdone(cap)
        return True

    def _warn_outdone(self, cap: Cap) -> None:
        """Once: it holds for as long as the other limiter does."""
        if cap.outdone and not self._told_outdone:
            self._told_outdone = True
            log.warning(
                "%s obeys %g W of the %g W that were set; another limiter, such as a BMC, is left to stand",
                self.uuid,
                cap.enforced_w,
                cap.change.to_w,
            )

    async def _uncap(self, cause: str) -> None:
        """Give the board its own limit back; where that fails it stays on disk for the next try."""
        if not self._board.capped:
            return
        await self._settle()
        try:
            undone = await self._board.restore()
        except (CapRefusedError, CapturedLimitError, DeviceTroubleError, GuardError) as error:
            log.warning("the captured limit is not restored: %s", error)
            await self._refused(error)
        else:
            if undone:
                await self._limit_event(WorkerEventKind.RESTORED, undone, cause)

    async def _sink(self) -> None:
        """Park as deep as it is worth what is all at rest."""
        views = self._crew.jobs
        if not views or any(view.run_state is RunState.RUNNING for view in views.values()):
            await self._parked_training.free_clocks()
        else:
            await self._parked_training.sink(views, self._expected_seconds)

    def _expected_seconds(self, job: str) -> float | None:
        """Until `job` goes on, by its plan; None where it has none that says so."""
        if self._clock is None:
            return None
        now = self._now()
        goes_on = self._plans.next_run(job, _run(self._state), now)
        if goes_on is None or goes_on <= now:  # it is something else that holds it
            return None
        return self._clock.wait_seconds(goes_on, wall=datetime.now(UTC), monotonic_seconds=time.monotonic())

    async def _pause(self, names: AbstractSet[str]) -> list[tuple[JobView, PauseReceipt]]:
        """Pause those of `names` that run; one that cannot be paused runs on, and is tried again."""
        training = self._training
        loose = [
            view
            for view in self._jobs().values()
            if view.job in names
            and not view.leaving
            and (view.run_state is RunState.RUNNING or not training.holds(view.job))
        ]
        receipts = await asyncio.gather(*(self._pause_one(view.job) for view in loose))
        return [(view, receipt) for view, receipt in zip(loose, receipts, strict=True) if receipt]

    async def _pause_one(self, job: str) -> PauseReceipt | None:
        try:
            return await self._training.pause(job, self._settings.pause_timeout_seconds)
        except SeveralProcessesError as error:  # ranks join one after another
            since = self._incomplete_since.setdefault(job, time.monotonic())
            if since + JOINING_SECONDS < time.monotonic():
                self._incomplete_since[job] = math.inf  # said once
                log.warning("%s", error)
        except PauseTimeoutError as error:
            log.warning("%s", error)
        except (JobUnknownError, PauseInterruptedError) as error:
            log.debug("%s", error)
        return None

    async def _tell_paused(self, paused: list[tuple[JobView, PauseReceipt]]) -> None:
        for view, receipt in paused:
            await self._settle()
            await self._event(
                WorkerEventKind.PAUSED,
                job=view.job,
                step=receipt.step,
                seconds=receipt.seconds,
                memory_used_bytes=receipt.memory_used_bytes,
            )
            await self._job_status(replace(view, step=receipt.step), RunState.PAUSED)

    async def _resume(self, names: AbstractSet[str]) -> None:
        for view in self._jobs().values():
            if view.job not in names or not self._training.holds(view.job):
                continue
            self._parked_training.goes_on(view)
            try:
                await self._training.resume(view.job)
            except JobUnknownError as error:
                log.debug("%s", error)
                continue
            await self._settle()
            await self._event(
                WorkerEventKind.RESUMED,
                job=view.job,
                step=view.step,
                tokens=self._tokens_taken,
                watts=self._allowance.watts,
            )
            self._tokens_taken = 0
            begins_again = view.parked is Tier.CHECKPOINT  # and runs from when it is back
            await self._job_status(view, RunState.PAUSED if begins_again else RunState.RUNNING)

    @property
    def _training(self) -> Crew | ModelledTraining:
        """Who trains here: processes, else the model where there is to be one."""
        return self._modelled if self._modelled and not self._crew.jobs else self._crew

    def _jobs(self) -> Mapping[str, JobView]:
        return self._training.jobs

    def _load(self) -> Load:
        jobs = self._jobs().values()
        if any(view.run_state is RunState.RUNNING for view in jobs):
            return Load.RUNNING
        return Load.PARKED if any(view.parked is not Tier.CHECKPOINT for view in jobs) else Load.IDLE

    def _committed_w(self) -> float:
        """What the board may draw at most as it stands: a job that is not paused yet may draw up to its limit."""
        if self._load() is Load.RUNNING:
            return max(self._allowance.watts, self._board.limit_w)
        return self._allowance.watts

    def _ceiling_w(self) -> float:
        """What it could come to draw."""
        committed_w = self._committed_w()
        return max(self._board.ceiling_w, committed_w) if self._jobs() else committed_w

    def _now(self) -> datetime:
        wall = datetime.now(UTC)
        return self._clock.now(wall=wall, monotonic_seconds=time.monotonic()) if self._clock else wall

    def _leased(self) -> bool:
        return self._lease_end is not None and datetime.now(UTC) < self._lease_end

    def _falls_back(self, to: str) -> bool:
        """Whether a hold has lasted longer than the lease of the last sound state, and `to` is what follows."""
        over = self._sound_until is not None and datetime.now(UTC) >= self._sound_until
        return over and self._settings.stale_fallback == to

    async def _next_look(self) -> None:
        """Return when telemetry is due, or something turns by time alone."""
        due_seconds = self._next_due_seconds()
        while True:
            changed = self.changed  # whatever comes in may turn sooner
            try:
                seconds = min((due_seconds - time.monotonic(), *self._seconds_to_turns()))
                async with asyncio.timeout(max(0.01, seconds)):
                    await changed.wait()
            except TimeoutError:
                return

    def _next_due_seconds(self) -> float:
        """Of telemetry: the same moments for all boards of the host, which one waking serves."""
        every_seconds = self._settings.telemetry_seconds
        return (time.monotonic() // every_seconds + 1) * every_seconds

    def _seconds_to_turns(self) -> Iterator[float]:
        """Until the lease runs out, a target starts or ends, a plan goes on to its next step."""
        wall, monotonic_seconds = datetime.now(UTC), time.monotonic()
        if self._lease_end and not self._lease_told:
            yield (self._lease_end - wall).total_seconds()
        if self._sound_until and self._sound_until > wall:
            yield (self._sound_until - wall).total_seconds()
        if self._board.waits_seconds:
            yield self._board.waits_seconds
        if turn := self._site_limit.next_turn(wall):
            yield (turn - wall).total_seconds()
        if self._clock is None:
            return
        now = self._clock.now(wall=wall, monotonic_seconds=monotonic_seconds)
        for job in self._jobs():
            if turn := self._plans.next_turn(job, _run(self._state), now):
                seconds = self._clock.wait_seconds(turn, wall=wall, monotonic_seconds=monotonic_seconds)
                if seconds is not None:
                    yield seconds

    def _notify(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def _settle(self) -> None:
        """Count up to now what was done till now; from now on count what is done now."""
        before = self._board.meter
        self._count(before, await self._board.settle(self._now(), live=_run(self._state) is None))

    def _count(self, before: Meter | None, meter: Meter) -> None:
        if before and before.at < meter.at:
            run = _run(self._state)
            self._account.count(before, meter, self._drawing, self._basis(), parked=self._parked, run=run)
        jobs, load = self._jobs(), self._load()
        running = [view.job for view in jobs.values() if view.run_state is RunState.RUNNING]
        self._work = self._work.count(meter.work_seconds, running)
        self._drawing, self._parked = tuple(running or jobs), bool(jobs) and not running
        self._board.note_load(load)

    def _basis(self) -> EnergyBasis:
        """Where the energy comes from: a real draw over replayed time is an estimate, nobody measured that energy."""
        basis = self._board.energy_basis
        real = basis is not EnergyBasis.MODELLED
        return EnergyBasis.ESTIMATED if real and _run(self._state) else basis

    async def _refused(self, error: CarbonShiftError, **more: Detail) -> None:
        await self._event(WorkerEventKind.CAP_REFUSED, problem=error.problem, remedy=error.remedy, **more)

    async def _limit_event(self, kind: WorkerEventKind, change: LimitChange, cause: str, **more: Detail) -> None:
        await self._event(kind, from_w=change.from_w, to_w=change.to_w, cause=cause, **more)

    async def _event(self, kind: WorkerEventKind, **detail: Detail) -> None:
        settings = self._settings
        event = WorkerEvent(
            worker=settings.worker,
            site=settings.site,
            region=settings.region,
            device_uuid=self.uuid,
            sequence=next(self._log_book.sequence),
            started_at=self._log_book.started_at,
            observed_at=self._now(),
            event=kind,
            detail=detail,
            replay=self._state.replay if self._state else None,
        )
        log.info("%s of %s %s", kind, self.uuid, detail)
        await self._outbox.put(event)

    async def _progress(self) -> None:
        """Say how far each job is."""
        self._progress_due_seconds = self._next_due_seconds()
        if self._jobs():
            await self._settle()
        for view in self._jobs().values():
            await self._job_status(view, view.run_state)

    async def _job_status(self, view: JobView, state: RunState) -> None:
        settings = self._settings
        energy_j, basis, account = self._account.job(view.job, _run(self._state))
        status = JobStatus(
            job=view.job,
            worker=settings.worker,
            site=settings.site,
            region=settings.region,
            observed_at=self._now(),
            state=state,
            step=view.step,
            work_seconds=self._work.of(view.job),
            steps_per_s=view.steps_per_s,
            remaining_steps=view.remaining_steps,
            deadline=view.deadline,
            usd_per_gpu_hour=view.usd_per_gpu_hour,
            watts=(await self._board.read()).power_w,
            energy_j=energy_j,
            energy_basis=basis,
            account=account,
            replay=self._state.replay if self._state else None,
        )
        await self._outbox.put(status)

    async def _telemetry(self, *, last: bool = False) -> None:
        settings, board = self._settings, self._board
        now, before = self._now(), board.meter
        meter, reading = await board.look(now, live=_run(self._state) is None)
        self._count(before, meter)
        self._parked_training.note_draw(reading.power_w)
        basis = self._basis()
        jobs, load = self._jobs(), self._load()
        view = next(iter(jobs.values()), None)
        replay = self._state.replay if self._state else None
        energy_j, account = self._account.total(now, basis, replay.run if replay else None)
        telemetry = WorkerTelemetry(
            worker=settings.worker,
            site=settings.site,
            region=settings.region,
            device_uuid=self.uuid,
            observed_at=now,
            power_w=reading.power_w,
            power_limit_w=reading.power_limit_w,
            enforced_limit_w=reading.enforced_limit_w,
            allowance_w=self._committed_w(),
            ceiling_w=self._ceiling_w(),
            energy_j=energy_j,
            energy_basis=basis,
            account=account,
            run_state=RunState.RUNNING if load is Load.RUNNING else RunState.PAUSED if jobs else RunState.ENDED,
            memory_used_bytes=view.memory_used_bytes if view else reading.memory_used_bytes,
            job=view.job if view else None,
            step=view.step if view else 0,
            steps_per_s=view.steps_per_s if view else None,
            work_seconds=meter.work_seconds,
            replay=replay,
        )
        stored = last or not self._outbox.holds(EnergyUse)
        await self._outbox.put(telemetry, *(self._account.settled(now, replay) if stored else ()))
        if replay is None:
            await self._account.save(meter, board.counter_j, at_once=last)


def _run(state: GridState | None) -> str | None:
    """The replay that `state` is of; None = today's grid, where a worker is before it has heard anything."""
    return state.replay.run if state and state.replay else None
