"""The agent's side of a pause: who trains here, how far they are, and stopping them at a step, model in memory."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

from carbonshift.common.events import RunState
from carbonshift.gpu_worker.agreement import Agreement
from carbonshift.gpu_worker.control_socket import listener_at, peer
from carbonshift.gpu_worker.deeper import demand_rest, leave, offload
from carbonshift.gpu_worker.errors import (
    JobUnknownError,
    PauseTimeoutError,
    SeveralProcessesError,
)
from carbonshift.gpu_worker.local_ranks import LocalRanks
from carbonshift.gpu_worker.training_process import JobView, TrainingProcess, demand_unbroken
from carbonshift.training.page import (
    ACK,
    AGREED,
    HEARTBEAT,
    LEASE_MS,
    LEAVE,
    MEMORY_BYTES,
    OFFLOAD,
    PARKED,
    RUN,
    STEP,
    TARGET,
    attach,
    create,
)
from carbonshift.training.wire import MESSAGE_BYTES, Hello, refuse, welcome

__all__ = ["JobChange", "PauseReceipt", "TrainingControl"]

GREETING_SECONDS = 5.0
"""A peer that has not said what it is by then is turned away."""
LOOK_SECONDS = 0.002
"""Between two looks at ranks that come to a common rest: one that runs past a target says nothing."""

log = logging.getLogger(__name__)


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
    """A process has joined or left, or a job is on its way to leaving; `view` is the last there is of it."""

    kind: Literal["joined", "leaving", "left"]
    view: JobView


class TrainingControl:
    """Listens for training processes on a unix socket; pauses and resumes them by job.

    Of this user and root, or of the members of a group. A job is of the user whose process joined first.

    A paused process goes on by itself when this one dies, or when its event loop stands still for `lease_seconds`.
    """

    def __init__(self, *, lease_seconds: float = 10.0) -> None:
        self._lease_seconds = lease_seconds
        self._processes: list[TrainingProcess] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._path: Path | None = None
        self._grouped = False
        self._pausing: dict[str, asyncio.Lock] = {}
        self._leaving: dict[str, bool] = {}
        """Whether those that are leaving have been resumed meanwhile."""
        self.changes: asyncio.Queue[JobChange] = asyncio.Queue()
        """Processes that joined and left, in order."""

    @property
    def jobs(self) -> dict[str, JobView]:
        """The jobs that train here now, by name; read from memory without a system call."""
        return {job: _view(self._members(job)) for job in self._names()}

    @property
    def lease_seconds(self) -> float:
        """A pause outlives a standstill of this one, or of another host's, for so long."""
        return self._lease_seconds

    def ranks(self, job: str) -> LocalRanks:
        """Those of `job` that are here, for whoever stops ranks on several hosts. Raises JobUnknownError."""
        if members := self._members(job):
            return LocalRanks(members)
        raise self._unknown(job)

    async def start(self, socket_path: Path, group: str | None = None) -> None:
        """Listen at `socket_path`, for this user and root, and for `group`; a socket left by a dead agent is replaced.

        Raises: ControlSocketError.
        """
        listener = listener_at(socket_path, group)
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
        lock = self._pausing.setdefault(job, asyncio.Lock())  # a job on two boards is asked by both
        try:
            async with asyncio.timeout(timeout_seconds):
                await lock.acquire()
        except TimeoutError as error:
            raise PauseTimeoutError(f"job {job} is being paused or parked already", "it is tried again") from error
        try:
            return await self._pause(job, timeout_seconds)
        finally:
            lock.release()

    async def _pause(self, job: str, timeout_seconds: float) -> PauseReceipt:
        began = time.monotonic()
        members = self._whole(job)
        if members[0].hello.stands_in:
            for process in members:
                process.target(0)
            return PauseReceipt(step=members[0].words[STEP], seconds=0.0, memory_used_bytes=0)
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
        if job in self._leaving:
            self._leaving[job] = True
        _release(members)

    async def offload(self, job: str) -> int | None:
        """As `deeper.offload`. Raises: JobUnknownError and SeveralProcessesError besides."""
        async with self._pausing.setdefault(job, asyncio.Lock()):
            return await offload(self._whole(job))

    async def leave(self, job: str) -> None:
        """As `deeper.leave`; whoever stands in for the job begins it again.

        It cannot be called off: a rank that saves must not be left alone. Resumed meanwhile it is begun again at once.

        Raises: JobUnknownError and SeveralProcessesError besides.
        """
        async with self._pausing.setdefault(job, asyncio.Lock()):
            members = self._whole(job)
            demand_rest(members)
            self._leaving[job] = False
            self._note("leaving", members[0])
            try:
                await leave(members)
            finally:
                del self._leaving[job]

    async def _at_rest(self, process: TrainingProcess) -> int:
        """The step at which `process` has come to rest. Arrived, agreed, quiet; one process agrees with itself."""
        words, releases = process.words, process.releases
        while True:
            process.look.clear()
            demand_unbroken([process], [releases])
            if process.quiet:
                return words[ACK]
            if words[TARGET] == RUN and not words[ACK]:  # else it is about to leave the pause before this one
                process.target(0)
            if words[TARGET] != RUN and words[ACK] and words[AGREED] != words[ACK]:
                process.agree(words[ACK])
            await process.look.wait()

    async def _all_at_rest(self, members: list[TrainingProcess]) -> int:
        """The one step at which `members` have come to rest."""
        agreement, releases = Agreement(), [process.releases for process in members]
        while True:
            demand_unbroken(members, releases)
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

    def _whole(self, job: str) -> list[TrainingProcess]:
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

    def _members(self, job: str) -> list[TrainingProcess]:
        mine = (process for process in self._processes if process.hello.job == job and process.stands)
        return sorted(mine, key=lambda process: process.hello.rank)

    def _names(self) -> Iterator[str]:
        return iter(dict.fromkeys(process.hello.job for process in self._processes if process.stands))

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
            process: TrainingProcess | None = None
            try:
                async with asyncio.timeout(GREETING_SECONDS):
                    process = await self._greet(connection)
                    await loop.sock_recv(connection, MESSAGE_BYTES)  # its words stand in the page now
                self._enter(process)
                while await loop.sock_recv(connection, MESSAGE_BYTES):
                    process.look.set()
            except (OSError, ValueError, TimeoutError) as error:  # a reset is an end too: it died with bytes unread
                if process is None:
                    self._turn_away(connection, error)
            finally:
                if process in self._processes:
                    self._part_from(process)

    def _enter(self, process: TrainingProcess) -> None:
        for other in self._members(process.hello.job):
            other.stands = not other.hello.stands_in or process.hello.stands_in
        if process.hello.stands_in and process.words[PARKED] == LEAVE and not self._members(process.hello.job):
            process.stand(released=False)  # its training left under an agent before this one
        self._processes.append(process)
        if process.stands:
            self._note("joined", process)

    def _part_from(self, process: TrainingProcess) -> None:
        self._processes.remove(process)
        process.here = False
        process.look.set()
        if not process.stands:
            return
        job = process.hello.job
        rest = self._members(job)
        left = process.words[PARKED] == LEAVE and not process.hello.stands_in
        if job not in self._leaving:
            _release(rest)  # without it they would wait for it in vain
        if not rest:
            self._stand_in(process, left=left and job in self._leaving)
        self._note("left", process)

    def _stand_in(self, process: TrainingProcess, *, left: bool) -> None:
        """Have those stand in for the job of `process`, its last, that are to begin it again; one a rank."""
        job, mine = process.hello.job, [other for other in self._processes if other.hello.job == process.hello.job]
        for other in {other.hello.rank: other for other in mine if other.uid == process.uid}.values():
            if left:
                other.stand_in_for(process, released=self._leaving[job])
            elif other.words[TARGET] != RUN:  # another training of that name came between
                other.stand(released=False)

    async def _greet(self, connection: socket.socket) -> TrainingProcess:
        """Let a process join. Raises OSError, and ValueError with the reason to turn it away."""
        line = b""
        while not line.endswith(b"\n"):
            part = await asyncio.get_running_loop().sock_recv(connection, MESSAGE_BYTES)
            line += part
            if not part or len(line) > MESSAGE_BYTES:
                raise ValueError("it did not say what it is")
        pid, uid = peer(connection)
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
        return TrainingProcess(hello, pid, uid, connection, words)

    def _turn_away(self, connection: socket.socket, reason: Exception) -> None:
        log.warning("a training process is turned away: %s", reason)
        try:
            refuse(connection, str(reason), lasting=isinstance(reason, ValueError))
        except OSError:
            log.debug("it has gone already")

    def _note(self, kind: Literal["joined", "leaving", "left"], process: TrainingProcess) -> None:
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


def _view(members: Sequence[TrainingProcess]) -> JobView:
    """Of all of a job: paused where each is, and the memory of all."""
    lowest = members[0].view(len(members))
    if not all(process.quiet for process in members):
        lowest = replace(lowest, run_state=RunState.RUNNING)
    if not lowest.cannot_offload:
        lowest = replace(lowest, cannot_offload=any(process.cannot(OFFLOAD) for process in members))
    return replace(
        lowest,
        pids=frozenset(process.pid for process in members),
        memory_used_bytes=sum(process.words[MEMORY_BYTES] for process in members),
    )


def _release(members: Iterable[TrainingProcess]) -> None:
    """Let them go, and call off whatever pause is under way."""
    for process in members:
        process.release()
