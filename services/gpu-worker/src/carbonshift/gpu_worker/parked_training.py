"""The training that waits on one board, taken as deep as its wait is worth, and brought back before it goes on."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Protocol

from carbonshift.gpu_worker.board import Board
from carbonshift.gpu_worker.crew import Crew
from carbonshift.gpu_worker.errors import (
    CannotParkError,
    CapRefusedError,
    DeviceTroubleError,
    GuardError,
    JobUnknownError,
    NotAtRestError,
    PauseInterruptedError,
    SeveralProcessesError,
)
from carbonshift.gpu_worker.parking import Tier, break_even_seconds, tier_for
from carbonshift.gpu_worker.parking_costs import SETTLE_SECONDS, ParkingCosts
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.training_process import JobView

__all__ = ["ParkedTraining", "Tell"]

LOWERED = frozenset({Tier.LOW_CLOCKS, Tier.OFFLOAD})
"""The tiers in which the clocks are at their lowest."""

log = logging.getLogger(__name__)


class Tell(Protocol):
    """Publishes that a tier has been reached."""

    def __call__(self, **detail: float | str | bool | None) -> Awaitable[None]: ...


@dataclass(slots=True, kw_only=True)
class _Wait:
    """Of one job."""

    since_seconds: float
    resumed_seconds: float | None = None
    """When it was let go, having left: until it is back that is the way up."""
    down_seconds: float = 0.0
    sinks: bool = False
    """Whether it is on its way into a deeper tier."""


class ParkedTraining:
    """Of one board. Its worker calls it under its lock, but for `close`."""

    def __init__(self, settings: GpuWorkerSettings, board: Board, crew: Crew, tell: Tell) -> None:
        self._settings, self._board, self._crew, self._tell = settings, board, crew, tell
        self._costs = ParkingCosts(board.device.curve)
        self._waits: dict[str, _Wait] = {}
        self._cannot: set[tuple[str, Tier]] = set()
        self._sinking: set[asyncio.Task[None]] = set()
        self._lowering_seconds = 0.0
        self._tells_power = True
        self._stands: tuple[Tier | None, float] = (None, 0.0)
        """The board's tier, None while something runs, and since when."""

    async def sink(self, views: Mapping[str, JobView], expected_seconds: Callable[[str], float | None]) -> None:
        """Take each of `views`, which are all that is on the board and all at rest, as deep as its wait is worth.

        Args:
            views: by name.
            expected_seconds: until a job goes on; None where nobody knows.
        """
        now = time.monotonic()
        tiers = {}
        for job, view in views.items():
            wait = self._waits.setdefault(job, _Wait(since_seconds=now))
            tiers[job] = tier = self._tier(view, expected_seconds(job), now - wait.since_seconds)
            if tier.depth > view.parked.depth and tier not in {Tier.LOW_CLOCKS, Tier.HOLD} and not wait.sinks:
                wait.sinks = True
                self._spawn(self._sink(view, tier, wait))
        here = [job for job, view in views.items() if view.parked is not Tier.CHECKPOINT]
        lowered = Tier.LOW_CLOCKS in self._settings.parking and here and all(tiers[job] in LOWERED for job in here)
        if lowered and await asyncio.to_thread(self._is_alone, views):
            await self._lower_clocks()
        elif self._board.slowed:
            await self.free_clocks()
        self._note_tier(views, now)

    async def free_clocks(self) -> None:
        """Before anything on the board goes on."""
        self._stands = (None, 0.0)
        try:
            seconds = await self._board.speed_up()
        except (CapRefusedError, DeviceTroubleError, GuardError) as error:
            log.warning("its clocks are still low: %s", error)
        else:
            if seconds is not None:
                self._costs.note_transition(Tier.LOW_CLOCKS, self._lowering_seconds + seconds)

    def goes_on(self, view: JobView) -> None:
        """`view` is let go."""
        wait = self._waits.get(view.job)
        if wait and (view.parked is Tier.CHECKPOINT or view.leaving):
            wait.resumed_seconds = time.monotonic()
        else:
            self._waits.pop(view.job, None)

    def joined(self, job: str) -> None:
        """A process of `job` is here: where it had left, it is back."""
        wait = self._waits.pop(job, None)
        if wait and wait.resumed_seconds is not None:
            self._costs.note_transition(
                Tier.CHECKPOINT, wait.down_seconds + time.monotonic() - wait.resumed_seconds, job
            )

    def ended(self, job: str) -> None:
        """`job` is here no more."""
        self._waits.pop(job, None)
        self._stands = (None, 0.0)
        self._costs.forget(job)
        self._cannot = {(name, tier) for name, tier in self._cannot if name != job}

    def note_draw(self, power_w: float | None) -> None:
        """What the board draws now."""
        tier, since_seconds = self._stands
        self._tells_power = power_w is not None
        if power_w is not None and tier is not None and time.monotonic() >= since_seconds + SETTLE_SECONDS:
            self._costs.note_draw(tier, power_w)

    async def close(self) -> None:
        """Wait for none of those on their way."""
        for task in self._sinking:
            task.cancel()
        await asyncio.gather(*self._sinking, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._sinking.add(task)
        task.add_done_callback(self._sinking.discard)

    def _tier(self, view: JobView, expected_seconds: float | None, waited_seconds: float) -> Tier:
        costs = self._costs.of(view, can_slow=self._can_slow)
        return tier_for(
            {tier: cost for tier, cost in costs.items() if (view.job, tier) not in self._cannot},
            self._settings.parking,
            expected_seconds=expected_seconds,
            waited_seconds=waited_seconds,
            running_w=self._running_w,
            freeing_share=self._settings.parking_memory_share,
        )

    @property
    def _can_slow(self) -> bool:
        """A board that tells its power is first measured as it is: else nobody would know what low clocks save."""
        settled = self._costs.draw_w(Tier.HOLD) is not None or Tier.HOLD not in self._settings.parking
        allowed = Tier.LOW_CLOCKS in self._settings.parking
        return self._board.can_slow and allowed and (settled or not self._tells_power)

    @property
    def _running_w(self) -> float:
        return self._board.device.curve.draw_w(self._board.ceiling_w)

    async def _lower_clocks(self) -> None:
        board = self._board
        if board.slowed or not board.can_slow:
            return
        try:
            seconds = await board.slow_down()
        except CapRefusedError as error:
            log.warning("%s", error)
        except (DeviceTroubleError, GuardError) as error:
            log.warning("its clocks stay as they are: %s", error)
        else:
            if seconds is not None:
                self._lowering_seconds = seconds
                await self._tell(tier=Tier.LOW_CLOCKS, seconds=seconds)

    def _is_alone(self, views: Mapping[str, JobView]) -> bool:
        """Whether nothing else computes on the board: it would be slowed too."""
        return self._board.device.process_ids() <= {pid for view in views.values() for pid in view.pids}

    async def _sink(self, view: JobView, tier: Tier, wait: _Wait) -> None:
        began = time.monotonic()
        job, break_even = view.job, self._break_even_seconds(view, tier)
        try:
            freed = await (self._crew.offload(job) if tier is Tier.OFFLOAD else self._crew.leave(job))
        except CannotParkError as error:
            self._cannot.add((job, tier))
            log.warning("%s", error)
        except SeveralProcessesError:
            self._cannot.add((job, tier))
            log.warning("job %s has ranks on other hosts: it waits where it is, and not in %s", job, tier)
        except (JobUnknownError, NotAtRestError, PauseInterruptedError) as error:
            log.info("%s", error)
        else:
            wait.down_seconds = time.monotonic() - began
            if freed is not None:
                await self._tell(
                    job=job, tier=tier, seconds=wait.down_seconds, freed_bytes=freed, break_even_seconds=break_even
                )
        finally:
            wait.sinks = False

    def _break_even_seconds(self, view: JobView, tier: Tier) -> float:
        cost = self._costs.of(view, can_slow=self._can_slow)[tier]
        return break_even_seconds(cost, self._running_w, self._settings.parking_memory_share)

    def _note_tier(self, views: Mapping[str, JobView], now: float) -> None:
        if views and all(view.parked is Tier.CHECKPOINT for view in views.values()):
            tier = Tier.CHECKPOINT
        else:
            tier = Tier.LOW_CLOCKS if self._board.slowed else Tier.HOLD
        if tier is not self._stands[0]:
            self._stands = (tier, now)
