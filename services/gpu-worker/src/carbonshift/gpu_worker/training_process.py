"""One training process as its agent sees it: its connection, the page shared with it, and the job it is of."""

import asyncio
import logging
import socket
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from carbonshift.common.events import RunState
from carbonshift.training.page import (
    ACK,
    AGREED,
    DEADLINE_MS,
    FINAL_STEP,
    MEMORY_BYTES,
    QUIET,
    RUN,
    STEP,
    TARGET,
    USD_MICROS_PER_GPU_HOUR,
)
from carbonshift.training.wire import Hello

__all__ = ["JobView", "TrainingProcess"]

SAMPLES = 16
"""The pace is taken over the last so many heartbeats that saw a new step."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job at the moment of looking. Of a job of several processes it shows the one of the lowest rank."""

    job: str
    pid: int
    """As this agent's pid namespace has it."""
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


class TrainingProcess:
    """One training process: its connection, and the page shared with it."""

    def __init__(self, hello: Hello, pid: int, uid: int, connection: socket.socket, words: memoryview) -> None:
        self.hello, self.pid, self.uid, self.connection, self.words = hello, pid, uid, connection, words
        self.here = True
        self.releases = 0
        self.look = asyncio.Event()
        """Set when something may have changed: a byte came, the process left, somebody resumed it."""
        self._pace: deque[tuple[float, int]] = deque(maxlen=SAMPLES)

    @property
    def quiet(self) -> bool:
        words = self.words
        return words[TARGET] != RUN and words[QUIET] != 0 and words[QUIET] == words[ACK]

    def release(self) -> None:
        """Let it go, and call off whatever pause is under way."""
        self.releases += 1
        self.target(RUN)

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
            world_size=max(hello.world_size, processes),
            step=step,
            steps_per_s=0.0 if self.quiet else self._steps_per_s(),
            run_state=RunState.PAUSED if self.quiet else RunState.RUNNING,
            memory_used_bytes=words[MEMORY_BYTES],
            remaining_steps=max(0, final - step) if final else None,
            deadline=datetime.fromtimestamp(deadline_ms / 1_000, UTC) if deadline_ms else None,
            usd_per_gpu_hour=usd_micros / 1_000_000 if usd_micros else None,
        )

    def _steps_per_s(self) -> float | None:
        if not self._pace or self._pace[0] is self._pace[-1]:
            return None
        (started_at, first), (ended_at, last) = self._pace[0], self._pace[-1]
        return (last - first) / (ended_at - started_at)
