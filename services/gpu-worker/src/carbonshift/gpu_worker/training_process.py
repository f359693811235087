"""One training process as its agent sees it: its connection, the page shared with it, and the job it is of."""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from carbonshift.common.events import RunState
from carbonshift.gpu_worker.errors import PauseInterruptedError
from carbonshift.gpu_worker.parking import Tier
from carbonshift.training.page import (
    ACK,
    AGREED,
    CANNOT,
    DEADLINE_MS,
    DOWN_US,
    FINAL_STEP,
    HOLD,
    LEAVE,
    MAY_LEAVE,
    MEMORY_BYTES,
    OFFLOAD,
    PARKED,
    PROCESS_WORDS,
    QUIET,
    RUN,
    STEP,
    TARGET,
    TIER,
    UP_US,
    USD_MICROS_PER_GPU_HOUR,
)
from carbonshift.training.wire import Hello

__all__ = ["JobView", "TrainingProcess", "demand_unbroken"]

SAMPLES = 16
"""The pace is taken over the last so many heartbeats that saw a new step."""

TIERS = {HOLD: Tier.HOLD, OFFLOAD: Tier.OFFLOAD, LEAVE: Tier.CHECKPOINT}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job at the moment of looking. Of a job of several processes it shows the one of the lowest rank."""

    job: str
    pid: int
    """As this agent's pid namespace has it."""
    pids: frozenset[int]
    """Of all its processes here."""
    world_size: int
    """The processes the job says it has, or those seen here if they are more."""
    step: int
    """Optimizer steps done."""
    steps_per_s: float | None
    """Over the last steps seen; 0 while paused, None before there are two to compare."""
    run_state: RunState
    """RUNNING until the process is at rest and its device quiet, then PAUSED."""
    memory_used_bytes: int
    """As of its joining or its latest pause: CUDA memory allocated, or the resident set of a process without CUDA."""
    remaining_steps: int | None
    deadline: datetime | None
    usd_per_gpu_hour: float | None
    leaving: bool = False
    """Whether it runs on only to where it can be left, saves and ends."""
    parked: Tier = Tier.HOLD
    """The tier that it has reached in its pause, but for the clocks, which are its board's."""
    may_leave: bool = False
    """Whether its script says where it can be left, so that CHECKPOINT can be reached."""
    cannot_offload: bool = True
    """Whether OFFLOAD cannot be reached: it was tried, or there is nothing that could be moved."""
    offload_seconds: float | None = None
    """What the last way into OFFLOAD and back took; None before there was one."""


class TrainingProcess:
    """One training process: its connection, and the page shared with it."""

    def __init__(self, hello: Hello, pid: int, uid: int, connection: socket.socket, words: memoryview) -> None:
        self.hello, self.pid, self.uid, self.connection, self.words = hello, pid, uid, connection, words
        self.here = True
        self.stands = not hello.stands_in
        """Whether it counts as its job: a stand-in does once its training has left, and until it is back."""
        self.releases = 0
        self.look = asyncio.Event()
        """Set when something may have changed: a byte came, the process left, somebody resumed it."""
        self._pace: deque[tuple[float, int]] = deque(maxlen=SAMPLES)

    @property
    def quiet(self) -> bool:
        words = self.words
        if self.hello.stands_in:  # let go too, until the training itself is back
            return True
        return words[TARGET] != RUN and words[QUIET] != 0 and words[QUIET] == words[ACK]

    def cannot(self, tier: int) -> bool:
        """Whether it has tried to reach `tier`, one of the page's, and could not."""
        return bool(self.words[CANNOT] & 1 << tier)

    @property
    def may_leave(self) -> bool:
        """Whether its script says where it can be left, and it has not failed to save there."""
        return bool(self.words[MAY_LEAVE]) and not self.cannot(LEAVE)

    def release(self) -> None:
        """Let it go, and call off whatever pause is under way; one that is leaving cannot be called off so."""
        self.releases += 1
        if self.words[TIER] == LEAVE:
            self.nudge()
        else:
            self.let_go()

    def let_go(self) -> None:
        """Have it run on, whatever it was asked for."""
        self.words[TIER] = HOLD
        self.target(RUN)

    def sink(self, tier: int) -> None:
        """Have it wait in `tier`, one of the page's, from when it is at rest."""
        self.words[TIER] = tier
        self.nudge()

    def stand_in_for(self, left: "TrainingProcess", *, released: bool) -> None:
        """Count as the job of the process that has `left`: at rest, or `released` to begin it again at once."""
        for word in PROCESS_WORDS:
            self.words[word] = left.words[word]
        self.words[MEMORY_BYTES] = 0
        self.stand(released=released)

    def stand(self, *, released: bool) -> None:
        """Count as the job, which has left: at rest, or `released` to begin it again at once."""
        self.stands = True
        self.words[AGREED] += 1
        self.target(RUN if released else 0)

    def target(self, step: int) -> None:
        """Ask it to stop at `step`. A process that is gone does not mind."""
        self.words[TARGET] = step
        self._pace.clear()  # a pause is no slow step
        self.nudge()

    def agree(self, step: int) -> None:
        """Tell it that all of its job wait at `step`."""
        self.words[AGREED] = step
        self.nudge()

    def nudge(self) -> None:
        """Have a waiting process, and whoever waits for it here, look at the page."""
        self.look.set()
        try:
            self.connection.send(b".", socket.MSG_NOSIGNAL)
        except OSError:
            log.debug("process %d cannot be told; its end will show", self.pid)

    def sample(self, now: float) -> None:
        """Note the pace, at `now` by the monotonic clock."""
        step = self.words[STEP]
        if not self._pace or self._pace[-1][1] != step:
            self._pace.append((now, step))

    def view(self, processes: int) -> JobView:
        """Reads memory alone."""
        words, hello = self.words, self.hello
        step, final, deadline_ms = words[STEP], words[FINAL_STEP], words[DEADLINE_MS]
        usd_micros = words[USD_MICROS_PER_GPU_HOUR]
        return JobView(
            job=hello.job,
            pid=self.pid,
            pids=frozenset({self.pid}),
            world_size=max(hello.world_size, processes),
            step=step,
            steps_per_s=0.0 if self.quiet else self._steps_per_s(),
            run_state=RunState.PAUSED if self.quiet else RunState.RUNNING,
            memory_used_bytes=words[MEMORY_BYTES],
            remaining_steps=max(0, final - step) if final else None,
            deadline=datetime.fromtimestamp(deadline_ms / 1_000, UTC) if deadline_ms else None,
            usd_per_gpu_hour=usd_micros / 1_000_000 if usd_micros else None,
            leaving=words[TIER] == LEAVE,
            parked=TIERS.get(words[PARKED], Tier.HOLD),
            may_leave=self.may_leave,
            cannot_offload=self.cannot(OFFLOAD),
            offload_seconds=(words[DOWN_US] + words[UP_US]) / 1e6 if words[UP_US] else None,
        )

    def _steps_per_s(self) -> float | None:
        if not self._pace or self._pace[0] is self._pace[-1]:
            return None
        (started_at, first), (ended_at, last) = self._pace[0], self._pace[-1]
        return (last - first) / (ended_at - started_at)


def demand_unbroken(members: Sequence[TrainingProcess], releases: Sequence[int]) -> None:
    """Raise PauseInterruptedError where one of `members` has gone, or was released since."""
    job = members[0].hello.job
    if not all(process.here for process in members):
        raise PauseInterruptedError(f"job {job} ended during the pause", "nothing is left to pause")
    if [process.releases for process in members] != list(releases):
        raise PauseInterruptedError(f"job {job} was resumed meanwhile", "pause it again if need be")
