"""A process that stands at a step until it is let go, in whatever tier its agent has it wait."""

import select
import signal
import socket
import time
from collections.abc import Collection
from contextlib import ExitStack, suppress
from typing import Final

from carbonshift.training import framework
from carbonshift.training.interruption import LEAVING, deferred_handlers, signals
from carbonshift.training.offload import ROOM_SECONDS, CannotOffloadError, Shelf, put_away
from carbonshift.training.page import (
    ACK,
    AGREED,
    AWAY_BYTES,
    CANNOT,
    DOWN_US,
    HEARTBEAT,
    HOLD,
    LEASE_MS,
    MEMORY_BYTES,
    OFFLOAD,
    PARKED,
    QUIET,
    TARGET,
    TIER,
    UP_US,
)
from carbonshift.training.talk import say

__all__ = ["SLICE_MS", "AgentGoneError", "ControlEndedError", "Heart", "hear", "reraise_foreign", "stand", "tell"]

SLICE_MS: Final = 500
"""How often a waiting process looks whether the agent's heart still beats."""
DISTURBED: Final = 2
"""Brought back so often by signals in one pause, what was offloaded stays on the device for the rest of it."""


class AgentGoneError(Exception):
    """There is no agent, or it has stopped thinking: the text says which. It may come back."""


class ControlEndedError(Exception):
    """From here on this process is nobody's: the text says why."""


class Heart:
    """The agent's, as it shows in a page; to be looked at often."""

    def __init__(self, words: memoryview) -> None:
        self._words, self._beat, self._beaten_at = words, words[HEARTBEAT], time.monotonic()

    def demand_beat(self) -> None:
        """Raises: AgentGoneError where it has stood still for the lease."""
        words = self._words
        if words[HEARTBEAT] != self._beat:
            self._beat, self._beaten_at = words[HEARTBEAT], time.monotonic()
        elif (time.monotonic() - self._beaten_at) * 1_000 > words[LEASE_MS]:
            raise AgentGoneError("the agent has stopped thinking")


def stand(agent: socket.socket, words: memoryview, n: int) -> None:
    """Stand at step `n` until the target is beyond it.

    Raises: AgentGoneError, ControlEndedError, CorruptedError; what a signal handler raises passes.
    """
    heart, disturbed = Heart(words), 0
    words[ACK] = n
    try:
        with signals() as heard, ExitStack() as deep:
            poll = select.poll()
            poll.register(agent, select.POLLIN)
            poll.register(heard, select.POLLIN)
            tell(agent)
            while n >= words[TARGET]:
                if words[AGREED] == n != words[QUIET]:
                    _fall_quiet(words, n)
                    tell(agent)
                elif words[QUIET] == n and words[PARKED] != _tier(words) and disturbed < DISTURBED:
                    deep.close()
                    _sink(words, deep)
                    tell(agent)
                poll.poll(SLICE_MS)
                if arrived := heard.take():
                    disturbed += words[PARKED] == OFFLOAD
                    deep.close()  # what a handler sees, it shall see on the device
                    if leaving := arrived & LEAVING:
                        raise ControlEndedError(f"signal {min(leaving)} came during a pause")
                hear(agent)
                heart.demand_beat()
    finally:
        words[ACK] = words[QUIET] = 0
        with suppress(AgentGoneError):  # it shows at the next step that is to stop
            tell(agent)


def _tier(words: memoryview) -> int:
    """The tier to wait in, as far as it can be reached."""
    return OFFLOAD if words[TIER] == OFFLOAD and not words[CANNOT] & 1 << OFFLOAD else HOLD


def _sink(words: memoryview, deep: ExitStack) -> None:
    """Reach the tier to wait in; closing `deep` comes back from it."""
    if _tier(words) == HOLD:
        return
    began = time.monotonic_ns()
    try:
        with ExitStack() as attempt:
            pending = attempt.enter_context(deferred_handlers())  # a handler shall see all of it, or nothing
            shelf = put_away()
            attempt.callback(_rise, words, shelf, pending)
            deep.enter_context(attempt.pop_all())
    except CannotOffloadError as error:
        words[CANNOT] |= 1 << OFFLOAD
        say(f"this training stays on its device: {error}")
        return
    words[PARKED], words[AWAY_BYTES] = OFFLOAD, shelf.bytes
    words[DOWN_US] = (time.monotonic_ns() - began) // 1_000


def _rise(words: memoryview, shelf: Shelf, pending: Collection[int]) -> None:
    """Bring back what was put away; where others have taken the memory meanwhile, once they give it back."""
    began, told = time.monotonic_ns(), False
    while not shelf.brought_back():
        if leaving := LEAVING.intersection(pending):  # no handler may see, and save, what is not there
            say(f"signal {min(leaving)} ends this training: the device has no room to go on with it")
            signal.signal(min(leaving), signal.SIG_DFL)
            signal.raise_signal(min(leaving))
        if not told:
            told = True
            say("the device has no room to go on with this training; it waits for some")
        time.sleep(ROOM_SECONDS)
    words[UP_US] = (time.monotonic_ns() - began) // 1_000
    words[PARKED], words[AWAY_BYTES] = HOLD, 0


def _fall_quiet(words: memoryview, n: int) -> None:
    try:
        framework.synchronize()
        words[MEMORY_BYTES] = framework.memory_used_bytes()
    except RuntimeError as error:  # an error of the user's own kernels, which their next call meets too
        raise ControlEndedError(f"the device reports {error}") from error
    words[QUIET] = n


def tell(agent: socket.socket) -> None:
    """Have the agent look at the page. Raises: AgentGoneError."""
    try:
        agent.send(b".", socket.MSG_NOSIGNAL)
    except BlockingIOError:  # it has more to read than it needs in order to look
        return
    except OSError as error:
        reraise_foreign(error)
        raise AgentGoneError("the agent is gone") from error


def hear(agent: socket.socket) -> None:
    """Take the bytes that say "look at the page". An agent killed with unread bytes gives ECONNRESET, not an end.

    Raises: AgentGoneError.
    """
    try:
        if agent.recv(256):
            return
    except BlockingIOError:
        return
    except OSError as error:
        reraise_foreign(error)
    raise AgentGoneError("the agent is gone")


def reraise_foreign(error: OSError) -> None:
    """A user's signal handler may raise TimeoutError, an OSError, amid our call; the kernel's have a number."""
    if error.errno is None:
        raise error
