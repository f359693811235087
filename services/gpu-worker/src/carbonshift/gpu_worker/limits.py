"""Who sets the limits and clocks of boards and gives them back: a guard process, or this one where they end with it."""

import asyncio
import json
import logging
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from carbonshift.common.errors import CarbonShiftError
from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.devices.device import Device
from carbonshift.gpu_worker.errors import (
    CapRefusedError,
    CapturedLimitError,
    DeviceTroubleError,
    ForeignLimitError,
    GuardError,
    LeverChangedError,
    LimitUnsupportedError,
)
from carbonshift.gpu_worker.guard import MESSAGE_BYTES
from carbonshift.gpu_worker.keeper import Keeper, LimitChange

__all__ = ["GuardedLimits", "Limits", "OwnLimits", "Restored"]

START_SECONDS = 60.0
"""An NVML init alone can take many seconds on a host of eight boards without persistence."""
ANSWER_SECONDS = 30.0
BEATS_IN_LEASE = 4
RESTART_SECONDS = 1.0
ERRORS: Mapping[str, type[CarbonShiftError]] = {
    error.__name__: error
    for error in (
        CapRefusedError,
        CapturedLimitError,
        DeviceTroubleError,
        GuardError,
        LeverChangedError,
        LimitUnsupportedError,
    )
}

Restored = Callable[[str, LimitChange | None, str], None]
"""Told of a board's UUID, the change and the cause where a limit was given back unasked."""

log = logging.getLogger(__name__)


class Limits(Protocol):
    """The only writer of the limits and clocks of some boards."""

    caps: Counter[str]
    """How many caps of each board have been set: what was given back before the last one does not count."""
    slowed: set[str]
    """Boards whose clocks are locked at their lowest, by what was heard last."""

    async def start(self) -> Mapping[str, LimitChange | CarbonShiftError | None]:
        """Undo what an earlier run left; by board what that came to. Raises CarbonShiftError."""

    async def cap(self, uuid: str, limit_w: float, *, nominal: bool = False) -> LimitChange | None:
        """As `Keeper.cap`. Raises GuardError besides."""

    async def slow_down(self, uuid: str) -> float:
        """As `Keeper.slow_down`. Raises GuardError besides."""

    async def speed_up(self, uuid: str) -> float | None:
        """As `Keeper.speed_up`. Raises GuardError besides."""

    async def restore(self, uuid: str) -> LimitChange | None:
        """As `Keeper.restore`. Raises GuardError besides."""

    async def close(self) -> None:
        """Give back what is not yet."""


class OwnLimits:
    """Of boards that are models in this process."""

    def __init__(self, devices: Sequence[Device], folder: Path, *, may_raise: bool = False) -> None:
        captured = CapturedLimits(folder)
        self.caps: Counter[str] = Counter()
        self.slowed: set[str] = set()
        self._keepers = {device.uuid: Keeper(device, captured, may_raise=may_raise) for device in devices}

    async def start(self) -> Mapping[str, LimitChange | CarbonShiftError | None]:
        """Nothing is left of an earlier run but, perhaps, a file."""
        return {uuid: keeper.open() for uuid, keeper in self._keepers.items()}

    async def cap(self, uuid: str, limit_w: float, *, nominal: bool = False) -> LimitChange | None:
        """At once."""
        return await asyncio.to_thread(self._keepers[uuid].cap, limit_w, nominal=nominal)

    async def slow_down(self, uuid: str) -> float:
        """At once."""
        seconds = await asyncio.to_thread(self._keepers[uuid].slow_down)
        self.slowed.add(uuid)
        return seconds

    async def speed_up(self, uuid: str) -> float | None:
        """At once."""
        self.slowed.discard(uuid)
        return await asyncio.to_thread(self._keepers[uuid].speed_up)

    async def restore(self, uuid: str) -> LimitChange | None:
        """At once."""
        self.slowed.discard(uuid)
        return await asyncio.to_thread(self._keepers[uuid].restore)

    async def close(self) -> None:
        """They end with this process."""


class GuardedLimits:
    """Of boards whose limits outlive this process: a guard of its own sets them and gives them back when this ends."""

    def __init__(
        self,
        backend: str,
        devices: Sequence[Device],
        folder: Path,
        *,
        lease_seconds: float,
        restored: Restored,
        may_raise: bool = False,
    ) -> None:
        self._backend, self._devices, self._folder, self._may_raise = backend, devices, folder, may_raise
        self._lease_seconds, self._restored = lease_seconds, restored
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._unheard: dict[int, tuple[str, str]] = {}
        """What was asked, and of which board, until it is answered or the guard has ended."""
        self._numbers = count()
        self.caps: Counter[str] = Counter()
        self.slowed: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Mapping[str, LimitChange | CarbonShiftError | None]:
        """Start the guard.

        Raises: GuardError and CapturedLimitError, with what the guard says.
        """
        left = await self._start_guard()
        for work in (self._beat(), self._read()):
            self._tasks.add(asyncio.get_running_loop().create_task(work))
        return left

    async def cap(self, uuid: str, limit_w: float, *, nominal: bool = False) -> LimitChange | None:
        """By the guard."""
        told = await self._ask({"do": "cap", "uuid": uuid, "limit_w": limit_w, "nominal": nominal})
        return _change(told["change"])

    async def slow_down(self, uuid: str) -> float:
        """By the guard."""
        told = await self._ask({"do": "slow_down", "uuid": uuid})
        return float(told["seconds"])

    async def speed_up(self, uuid: str) -> float | None:
        """By the guard."""
        told = await self._ask({"do": "speed_up", "uuid": uuid})
        return None if told["seconds"] is None else float(told["seconds"])

    async def restore(self, uuid: str) -> LimitChange | None:
        """By the guard."""
        return _change((await self._ask({"do": "restore", "uuid": uuid}))["change"])

    async def close(self) -> None:
        """Hang up: the guard gives back what is not yet, and ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            await self._process.wait()
        self.slowed.clear()

    async def _start_guard(self) -> Mapping[str, LimitChange | CarbonShiftError | None]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "carbonshift.gpu_worker.guard",
                f"--socket={theirs.fileno()}",
                f"--backend={self._backend}",
                f"--state={self._folder}",
                f"--lease-seconds={self._lease_seconds}",
                *(["--may-raise"] if self._may_raise else []),
                *(device.uuid for device in self._devices),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C in a terminal, or the end of it, is for the agent
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await asyncio.get_running_loop().sock_recv(ours, MESSAGE_BYTES)
        except (TimeoutError, OSError) as error:
            ours.close()
            raise GuardError(
                f"the guard has not started within {START_SECONDS:g} s", "see whether nvidia-smi answers"
            ) from error
        message: dict[str, Any] = (
            json.loads(line) if line else {"error": "GuardError", "problem": "the guard ended", "remedy": "again"}
        )
        if "error" in message:
            ours.close()
            raise _error(message)
        self._socket = ours
        return {
            uuid: _error(told) if isinstance(told, dict) else _change(told) for uuid, told in message["ready"].items()
        }

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        self._unheard[number] = message["do"], message["uuid"]
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(message | {"id": number})
            async with asyncio.timeout(ANSWER_SECONDS):
                told: dict[str, Any] = await answer
        except TimeoutError as error:
            raise DeviceTroubleError(
                f"{message['uuid']} has not answered within {ANSWER_SECONDS:g} s", "see dmesg for Xid errors"
            ) from error
        except GuardError:  # it was not even asked
            self._unheard.pop(number, None)
            raise
        finally:
            del self._asked[number]
        if "error" in told:
            raise _error(told)
        return told

    async def _send(self, message: dict[str, Any]) -> None:
        if self._socket is None:
            raise GuardError("the guard has ended", "another is being started")
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, json.dumps(message).encode())
        except OSError as error:
            raise GuardError(f"the guard has ended: {error}", "another is being started") from error

    async def _beat(self) -> None:
        """Say that this event loop turns."""
        while True:
            try:
                await self._send({"do": "beat"})
            except GuardError as error:
                log.debug("%s", error)
            await asyncio.sleep(self._lease_seconds / BEATS_IN_LEASE)

    async def _read(self) -> None:
        """Hand answers to those who wait; where the guard ends, start another, which first gives back what stands."""
        while True:
            if line := await self._line():
                self._hear(json.loads(line))
                continue
            try:
                await self._replace()
            except Exception:  # whatever it is, the boards must not stay without a guard
                log.exception("the guard could not be replaced; again")
                await asyncio.sleep(RESTART_SECONDS)

    async def _line(self) -> bytes:
        """The next message; empty where the guard has ended, which is a reset where it died with some unread."""
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, MESSAGE_BYTES) if self._socket else b""
        except OSError:
            return b""

    def _hear(self, message: dict[str, Any]) -> None:
        if "restored" in message:
            self.slowed.discard(message["restored"])
            if "error" in message:
                log.warning("%s", _error(message))
            else:
                self._restored(message["restored"], _change(message["change"]), "lease")
            return
        did, uuid = self._unheard.pop(message["id"], ("", ""))
        if did == "cap":
            self.caps[uuid] += 1
        elif did == "slow_down" and "error" not in message:
            self.slowed.add(uuid)
        elif did != "slow_down":
            self.slowed.discard(uuid)
        if (waiting := self._asked.get(message["id"])) and not waiting.done():
            waiting.set_result(message)

    async def _replace(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        lost = {"error": "GuardError", "problem": "the guard has ended", "remedy": "another is being started"}
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_result(lost)
        self._unheard.clear()
        log.error("the guard has ended: another is started, which first gives back the limits")
        try:
            left = await self._start_guard()
        except CarbonShiftError as error:
            log.critical("%s", error)
            await asyncio.to_thread(self._give_back)
            self.slowed.clear()
            await asyncio.sleep(RESTART_SECONDS)
            return
        self.slowed.clear()  # what could not be freed is, before anything else is done to that board
        for uuid, told in left.items():
            if isinstance(told, CarbonShiftError):
                log.warning("%s", told)
            else:
                self._restored(uuid, told, "guard")

    def _give_back(self) -> None:
        """By our own handles, which were opened when that could still be done: after a driver's update none can be."""
        for device in self._devices:
            try:
                Keeper(device, CapturedLimits(self._folder)).open()
            except CarbonShiftError as error:
                log.critical("%s", error)


def _change(pair: Sequence[float] | None) -> LimitChange | None:
    return None if pair is None else LimitChange(from_w=pair[0], to_w=pair[1])


def _error(told: Mapping[str, Any]) -> CarbonShiftError:
    if told["error"] == ForeignLimitError.__name__:
        return ForeignLimitError(told["problem"], told["remedy"], told["stands_w"])
    return ERRORS.get(told["error"], GuardError)(told["problem"], told["remedy"])
