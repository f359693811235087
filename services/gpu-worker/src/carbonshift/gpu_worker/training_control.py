"""The agent's side of a pause: who trains here, how far they are, and stopping them at a step, model in memory."""

import asyncio
import logging
import os
import shutil
import socket
import struct
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Literal

from carbonshift.common.events import RunState
from carbonshift.gpu_worker.agreement import Agreement
from carbonshift.gpu_worker.errors import (
    ControlSocketError,
    JobUnknownError,
    PauseInterruptedError,
    PauseTimeoutError,
    SeveralProcessesError,
)
from carbonshift.training.page import (
    ACK,
    AGREED,
    DEADLINE_MS,
    FINAL_STEP,
    HEARTBEAT,
    LEASE_MS,
    MEMORY_BYTES,
    QUIET,
    RUN,
    STEP,
    TARGET,
    USD_MICROS_PER_GPU_HOUR,
    attach,
    create,
)
from carbonshift.training.wire import MESSAGE_BYTES, Hello, refuse, welcome

__all__ = ["JobChange", "JobView", "PauseReceipt", "TrainingControl"]

GREETING_SECONDS = 5.0
"""A peer that has not said what it is by then is turned away."""
LOOK_SECONDS = 0.002
"""Between two looks at ranks that come to a common rest: one that runs past a target says nothing."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReceipt:
    """A pause that has come about."""

    step: int
    """The last step done."""
    seconds: float
    """From the asking until the device was quiet."""
    memory_used_bytes: int
    """Kept in memory by the paused process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """A process has joined or left; `view` is the last there is of it."""

    kind: Literal["joined", "left"]
    view: JobView


class _Process:
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


class TrainingControl:
    """Listens for training processes on a unix socket; pauses and resumes them by job.

    Of this user and root, or of the members of a group. A job is of the user whose process joined first.

    A paused process goes on by itself when this one dies, or when its event loop stands still for `lease_seconds`.
    """

    def __init__(self, *, lease_seconds: float = 10.0) -> None:
        self._lease_seconds = lease_seconds
        self._processes: list[_Process] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._path: Path | None = None
        self._grouped = False
        self._pausing: dict[str, asyncio.Lock] = {}
        self.changes: asyncio.Queue[JobChange] = asyncio.Queue()
        """Processes that joined and left, in order."""

    @property
    def jobs(self) -> dict[str, JobView]:
        """The jobs that train here now, by name; read from memory without a system call."""
        return {job: _view(self._members(job)) for job in self._names()}

    async def start(self, socket_path: Path, group: str | None = None) -> None:
        """Listen at `socket_path`, for this user and root, and for `group`; a socket left by a dead agent is replaced.

        Raises: ControlSocketError.
        """
        listener = _listener(socket_path, group)
        self._grouped = group is not None
        self._path = socket_path
        self._spawn(self._accept(listener))
        self._spawn(self._beat())

    async def close(self) -> None:
        """Let every paused process go, then stop listening. Harmless twice."""
        for process in self._processes:
            process.release()
        await asyncio.sleep(0)  # a task cancelled before it began would not close its socket
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    async def pause(self, job: str, timeout_seconds: float) -> PauseReceipt:
        """Stop `job` and wait until its devices are quiet. At once where it is paused already.

        One process stops after the step in flight, several at one step, at most `STEPS_AHEAD` further on.

        Raises: JobUnknownError; SeveralProcessesError, nothing having been done; PauseTimeoutError and
            PauseInterruptedError, the job running on. So too when this call is cancelled.
        """
        async with self._pausing.setdefault(job, asyncio.Lock()):  # a job on two boards is asked by both
            return await self._pause(job, timeout_seconds)

    async def _pause(self, job: str, timeout_seconds: float) -> PauseReceipt:
        began = time.monotonic()
        members = self._whole(job)
        try:
            async with asyncio.timeout(timeout_seconds):
                step = await (self._at_rest(members[0]) if len(members) == 1 else self._all_at_rest(members))
        except TimeoutError as error:
            _release(members)
            steps = sorted({process.words[STEP] for process in members})
            raise PauseTimeoutError(
                f"job {job} did not come to rest within {timeout_seconds:g} s at step {', '.join(map(str, steps))}",
                "try again with a longer wait than its longest step; it runs on",
            ) from error
        except BaseException:
            _release(members)
            raise
        memory_bytes = sum(process.words[MEMORY_BYTES] for process in members)
        return PauseReceipt(step=step, seconds=time.monotonic() - began, memory_used_bytes=memory_bytes)

    async def resume(self, job: str) -> None:
        """Let `job` go on; a pause that is still under way is called off. Raises JobUnknownError."""
        members = self._members(job)
        if not members:
            raise self._unknown(job)
        _release(members)

    async def _at_rest(self, process: _Process) -> int:
        """The step at which `process` has come to rest. Arrived, agreed, quiet; one process agrees with itself."""
        words, releases = process.words, process.releases
        while True:
            process.look.clear()
            _demand_unbroken([process], [releases])
            if process.quiet:
                return words[ACK]
            if words[TARGET] == RUN and not words[ACK]:  # else it is about to leave the pause before this one
                process.target(0)
            if words[TARGET] != RUN and words[ACK] and words[AGREED] != words[ACK]:
                process.agree(words[ACK])
            await process.look.wait()

    async def _all_at_rest(self, members: list[_Process]) -> int:
        """The one step at which `members` have come to rest."""
        agreement, releases = Agreement(), [process.releases for process in members]
        while True:
            _demand_unbroken(members, releases)
            acks = [process.words[ACK] for process in members]
            if all(process.quiet for process in members) and len(set(acks)) == 1:
                return acks[0]
            if any(process.words[TARGET] == RUN and process.words[ACK] for process in members):
                await asyncio.sleep(LOOK_SECONDS)  # it is about to leave the pause before this one
                continue
            steps = [process.words[STEP] for process in members]
            if target := agreement.next_target(steps, acks, time.monotonic()):
                for process in members:
                    process.target(target)
                continue
            if agreement.agreed(acks):
                for process in members:
                    if process.words[AGREED] != agreement.target:
                        process.agree(agreement.target)
            await asyncio.sleep(LOOK_SECONDS)

    def _whole(self, job: str) -> list[_Process]:
        members = self._members(job)
        if not members:
            raise self._unknown(job)
        size = max(len(members), *(member.hello.world_size for member in members))
        ranks = [member.hello.rank for member in members]
        if ranks != list(range(size)):
            raise SeveralProcessesError(
                f"job {job} is {size} processes, of which {len(members)} are here, ranks {', '.join(map(str, ranks))}",
                "only all of them can be paused together; until then cap its power instead, it runs on",
            )
        return members

    def _members(self, job: str) -> list[_Process]:
        return sorted((p for p in self._processes if p.hello.job == job), key=lambda p: p.hello.rank)

    def _names(self) -> Iterator[str]:
        return iter(dict.fromkeys(process.hello.job for process in self._processes))

    def _unknown(self, job: str) -> JobUnknownError:
        known = ", ".join(self._names()) or "none"
        return JobUnknownError(f"no training named {job} is here", f"those here: {known}")

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError:  # out of descriptors, say: those who train already must not suffer
                    log.exception("a training process could not be accepted")
                    await asyncio.sleep(1.0)
                    continue
                self._spawn(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        """From hello to end of one process. Its bytes only wake: what it has to say stands in its page."""
        loop = asyncio.get_running_loop()
        with connection:
            connection.setblocking(False)
            process: _Process | None = None
            try:
                async with asyncio.timeout(GREETING_SECONDS):
                    process = await self._greet(connection)
                    await loop.sock_recv(connection, MESSAGE_BYTES)  # its words stand in the page now
                self._processes.append(process)
                self._note("joined", process)
                while await loop.sock_recv(connection, MESSAGE_BYTES):
                    process.look.set()
            except (OSError, ValueError, TimeoutError) as error:  # a reset is an end too: it died with bytes unread
                if process is None:
                    self._turn_away(connection, error)
            finally:
                if process in self._processes:
                    self._processes.remove(process)
                    process.here = False
                    process.look.set()
                    _release(self._members(process.hello.job))  # without it they would wait for it in vain
                    self._note("left", process)

    async def _greet(self, connection: socket.socket) -> _Process:
        """Let a process join. Raises OSError, and ValueError with the reason to turn it away."""
        line = b""
        while not line.endswith(b"\n"):
            part = await asyncio.get_running_loop().sock_recv(connection, MESSAGE_BYTES)
            line += part
            if not part or len(line) > MESSAGE_BYTES:
                raise ValueError("it did not say what it is")
        pid, uid = _peer(connection)
        if uid not in (os.geteuid(), 0) and not self._grouped:  # else the kernel lets the group alone connect
            raise ValueError(f"this agent serves uid {os.geteuid()} and root, not uid {uid}")
        hello = Hello.of(line)
        owners = {member.uid for member in self._members(hello.job)}
        if owners - {uid}:
            raise ValueError(f"job {hello.job} is of another user")
        page = create()
        try:
            welcome_page = os.dup(page)
            words = attach(page)
            words[LEASE_MS] = round(self._lease_seconds * 1_000)
            words[TARGET] = RUN
            welcome(connection, welcome_page)
        finally:
            os.close(welcome_page)
        return _Process(hello, pid, uid, connection, words)

    def _turn_away(self, connection: socket.socket, reason: Exception) -> None:
        log.warning("a training process is turned away: %s", reason)
        try:
            refuse(connection, str(reason))
        except OSError:
            log.debug("it has gone already")

    def _note(self, kind: Literal["joined", "left"], process: _Process) -> None:
        process.sample(time.monotonic())
        seen = max(1, len(self._members(process.hello.job)))
        self.changes.put_nowait(JobChange(kind=kind, view=process.view(seen)))

    async def _beat(self) -> None:
        for beat in count(1):
            now = time.monotonic()
            for process in self._processes:
                process.words[HEARTBEAT] = beat
                process.sample(now)
            await asyncio.sleep(self._lease_seconds / 10)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _view(members: Sequence[_Process]) -> JobView:
    """Of all of a job: paused where each is, and the memory of all."""
    lowest = members[0].view(len(members))
    if not all(process.quiet for process in members):
        lowest = replace(lowest, run_state=RunState.RUNNING)
    return replace(lowest, memory_used_bytes=sum(process.words[MEMORY_BYTES] for process in members))


def _release(members: Iterable[_Process]) -> None:
    """Let them go, and call off whatever pause is under way."""
    for process in members:
        process.release()


def _demand_unbroken(members: Sequence[_Process], releases: Sequence[int]) -> None:
    """Raise PauseInterruptedError where one of `members` has gone, or was released since."""
    job = members[0].hello.job
    if not all(process.here for process in members):
        raise PauseInterruptedError(f"job {job} ended during the pause", "nothing is left to pause")
    if [process.releases for process in members] != list(releases):
        raise PauseInterruptedError(f"job {job} was resumed meanwhile", "pause it again if need be")


def _peer(connection: socket.socket) -> tuple[int, int]:
    """The (pid, uid) that connected, as the kernel noted it. Source: unix(7), SO_PEERCRED."""
    pid, uid, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return pid, uid


def _listener(path: Path, group: str | None) -> socket.socket:
    """A listening, non-blocking socket at `path`, for this user, root and `group`. Raises ControlSocketError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _take_over(path)
        listener.bind(str(path))
        path.chmod(0o600)  # before `listen`: until then nobody can connect
        if group is not None:
            shutil.chown(path, group=group)
            path.chmod(0o660)
        listener.listen(128)
    except LookupError as error:
        listener.close()
        path.unlink()
        raise ControlSocketError(f"there is no group {group}", "make it, or name one that this worker is in") from error
    except OSError as error:
        listener.close()
        raise ControlSocketError(
            f"cannot listen at {path}: {error}", "choose a short path in a folder that this user may write to"
        ) from error
    listener.setblocking(False)
    return listener


def _take_over(path: Path) -> None:
    """Remove the socket of an agent that is dead. Raises OSError where one lives, or where `path` is something else."""
    if not path.exists():
        return
    if not path.is_socket():
        raise FileExistsError(f"{path} is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError("another agent listens there")
