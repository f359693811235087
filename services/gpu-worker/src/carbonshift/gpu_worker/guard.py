"""The process that sets limits and gives them back: `python -m carbonshift.gpu_worker.guard`, started by the agent.

It knows nothing but boards, a socket to its agent and a clock, so that little can end it. A limit is given back when
the agent asks, ends in whatever way, or has not been heard of for the lease: its event loop hangs then. Each board has
a thread of its own, as one that hangs in its driver shall not keep the others from theirs.

A message is one JSON object. Agent: `{"do": "beat"}`, and `{"id": 1, "do": "cap" | "restore", "uuid": ..., "limit_w":
..., "nominal": false}`, which is answered by `{"id": 1, "change": [from_w, to_w] | null}` or `{"id": 1, "error": ...,
"problem": ..., "remedy": ..., "stands_w": ...}`; to `"do": "slow_down" | "speed_up"` it says `"seconds": ... | null` in
place of the change. Guard, unasked: `{"ready": {uuid: change | null}}` or `{"error": ...}` first, and `{"restored":
uuid, "change": ...}` where the lease ran out. Giving back frees clocks that were locked to slow a board down.
"""

import argparse
import json
import logging
import queue
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.plugins import load_plugin
from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.errors import CapRefusedError, DeviceTroubleError, ForeignLimitError, GuardError
from carbonshift.gpu_worker.keeper import Keeper, LimitChange
from carbonshift.gpu_worker.privilege import keep_only_sys_admin

if TYPE_CHECKING:
    from carbonshift.gpu_worker.devices.device import Backend

__all__ = ["MESSAGE_BYTES", "main"]

GROUP = "carbonshift.devices"
MESSAGE_BYTES = 65_536
PREDECESSOR_SECONDS = 5.0
"""How long to wait for the guard of an agent that has just ended: it may still be giving back."""
TRY_AGAIN_SECONDS = 1.0
LAST_TRIES = 30
"""How often an orphaned guard tries to give back a limit that its board refuses; the next start tries again."""
HARDEST_TO_KILL = "-900"
"""For the kernel's out-of-memory killer."""

Message = dict[str, Any]


class _Board(threading.Thread):
    """One board: what it is asked, in order."""

    def __init__(self, uuid: str, find: Callable[[], Keeper], tell: Callable[[Message], None]) -> None:
        super().__init__(daemon=True)
        self._uuid, self._find, self._tell = uuid, find, tell
        self._keeper: Keeper | None = None
        self._asked: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def open(self) -> LimitChange | None:
        """Undo what an earlier run has left. Raises: as `Keeper.open`; DeviceTroubleError where it is not seen now."""
        return self._opened()[1]

    def _opened(self) -> tuple[Keeper, LimitChange | None]:
        keeper = self._find()
        change = keeper.open()
        self._keeper = keeper
        return keeper, change

    def ask(self, message: Message | None) -> None:
        """Do what `message` says; None = the agent is gone: give back and end."""
        self._asked.put(message)

    def run(self) -> None:
        while (message := self._asked.get()) is not None:
            self._tell(self._answered(message))
        for _ in range(LAST_TRIES):
            try:
                self._restore()
            except DeviceTroubleError as error:
                _say(error)
                time.sleep(TRY_AGAIN_SECONDS)
            except CarbonShiftError as error:
                _say(error)
                return
            else:
                return

    def _answered(self, message: Message) -> Message:
        answer: Message = {"id": message["id"]} if "id" in message else {"restored": self._uuid}
        try:
            return answer | self._done(message)
        except CarbonShiftError as error:
            return answer | _told(error)

    def _done(self, message: Message) -> Message:
        if message["do"] == "restore":
            return {"change": _pair(self._restore())}
        keeper = self._keeper or self._opened()[0]
        if message["do"] == "cap":
            return {"change": _pair(keeper.cap(message["limit_w"], nominal=message["nominal"]))}
        return {"seconds": keeper.slow_down() if message["do"] == "slow_down" else keeper.speed_up()}

    def _restore(self) -> LimitChange | None:
        return self._keeper.restore() if self._keeper else self.open()


def main() -> None:
    """Guard boards until the agent at the other end of the socket has gone."""
    arguments = argparse.ArgumentParser(prog="carbonshift.gpu_worker.guard", description=__doc__)
    arguments.add_argument("--socket", type=int, required=True, help="descriptor of the socket to the agent")
    arguments.add_argument("--backend", required=True, help="name of the backend of the boards")
    arguments.add_argument("--state", type=Path, required=True, help="folder of the captured limits")
    arguments.add_argument("--lease-seconds", type=float, required=True)
    arguments.add_argument("--may-raise", action="store_true", help="let limits rise above the captured ones")
    arguments.add_argument("uuids", nargs="+")
    asked = arguments.parse_args()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # who ends the agent ends this with it, by the socket
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(HARDEST_TO_KILL, encoding="ascii")
    keep_only_sys_admin()
    logging.disable()  # which boards are not driven the agent has said
    with socket.socket(fileno=asked.socket) as agent:
        try:
            locks, boards = _open(asked, agent)
        except CarbonShiftError as error:
            _send(agent, _told(error))
            return
        _serve(agent, boards, asked.lease_seconds)
        for lock in locks:
            lock.close()


def _open(asked: argparse.Namespace, agent: socket.socket) -> tuple[list[socket.socket], Mapping[str, _Board]]:
    """Take the boards for this guard alone, and undo what an earlier run has left on them."""
    locks = [_lock(uuid) for uuid in asked.uuids]
    backend: Backend = load_plugin(GROUP, asked.backend)(None)
    seen = {device.uuid: device for device in backend.discover()}

    def keeper(uuid: str) -> Keeper:
        device = seen.get(uuid) or {found.uuid: found for found in backend.discover()}.get(uuid)
        if device is None:
            raise DeviceTroubleError(f"the guard does not see {uuid} now", "see `carbonshift doctor`")
        return Keeper(device, CapturedLimits(asked.state), may_raise=asked.may_raise)

    boards: dict[str, _Board] = {}
    left: Message = {}
    for uuid in asked.uuids:
        boards[uuid] = _Board(uuid, partial(keeper, uuid), lambda message: _send(agent, message))
        try:
            left[uuid] = _pair(boards[uuid].open())
        except (CapRefusedError, DeviceTroubleError) as error:
            left[uuid] = _told(error)
    for uuid in CapturedLimits(asked.state).uuids - boards.keys() & seen.keys():
        _give_back_to(uuid, keeper)
    for board in boards.values():
        board.start()
    _send(agent, {"ready": left})
    return locks, boards


def _serve(agent: socket.socket, boards: Mapping[str, _Board], lease_seconds: float) -> None:
    """Until the agent ends; then until every board has its limit back, or it cannot be had."""
    leased = True
    while True:
        heard, _, _ = select.select([agent], [], [], lease_seconds)
        if not heard:
            if leased:
                _say(GuardError(f"the agent has been silent for {lease_seconds:g} s", "limits are given back"))
                for board in boards.values():
                    board.ask({"do": "restore"})
            leased = False
            continue
        try:
            line = agent.recv(MESSAGE_BYTES)
        except OSError:
            line = b""
        if not line:
            break
        leased = True
        message = json.loads(line)
        if message["do"] != "beat":
            boards[message["uuid"]].ask(message)
    for board in boards.values():
        board.ask(None)
    for board in boards.values():
        board.join()


def _give_back_to(uuid: str, keeper: Callable[[str], Keeper]) -> None:
    """What an earlier run has left on a board that its agent drives no more, unless another one does."""
    try:
        with _lock(uuid, wait_seconds=0.0):
            keeper(uuid).open()
    except CarbonShiftError as error:
        _say(error)


def _lock(uuid: str, wait_seconds: float = PREDECESSOR_SECONDS) -> socket.socket:
    """Hold `uuid` for this process alone, on this host or in this network namespace; the kernel lets it go with it."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    give_up = time.monotonic() + wait_seconds
    while True:
        try:
            lock.bind(f"\0carbonshift-limit-{uuid}")
        except OSError as error:
            if time.monotonic() < give_up:
                time.sleep(0.05)
                continue
            lock.close()
            raise GuardError(f"another agent on this host drives {uuid}", "stop it first: one agent a board") from error
        return lock


def _pair(change: LimitChange | None) -> list[float] | None:
    return None if change is None else [change.from_w, change.to_w]


def _told(error: CarbonShiftError) -> Message:
    told: Message = {"error": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
    return told | ({"stands_w": error.stands_w} if isinstance(error, ForeignLimitError) else {})


def _send(agent: socket.socket, message: Message) -> None:
    with suppress(OSError):  # it has gone: what it asked for is undone in a moment
        agent.send(json.dumps(message).encode(), socket.MSG_NOSIGNAL)


def _say(error: CarbonShiftError) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"carbonshift guard: {error}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
