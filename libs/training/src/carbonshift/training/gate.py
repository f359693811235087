"""The gate that every optimizer step passes: a counter and a comparison, unless the agent wants the process to stop."""

import select
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from carbonshift.training import framework
from carbonshift.training.declaration import Declaration
from carbonshift.training.hook import StepDone
from carbonshift.training.interruption import LEAVING, signals
from carbonshift.training.page import (
    ACK,
    AGREED,
    DEADLINE_MS,
    FINAL_STEP,
    HEARTBEAT,
    LEASE_MS,
    MEMORY_BYTES,
    PROCESS_WORDS,
    QUIET,
    RUN,
    STEP,
    TARGET,
    USD_MICROS_PER_GPU_HOUR,
    private,
)

__all__ = ["Gate", "Joined", "gate", "say"]

SLICE_MS: Final = 500
"""How often a waiting process looks whether the agent's heart still beats."""


class Joined(NamedTuple):
    """A connection to an agent: its socket, and the words of the page shared with it."""

    agent: socket.socket
    words: memoryview


class Gate(NamedTuple):
    """The ways into one process's gate."""

    step_done: StepDone
    """To be called after each optimizer step."""
    declare: Callable[[Declaration], None]
    """Say what is declared in the page; what is not stays as it was."""
    forget: Callable[[], None]
    """Become a process that has never joined: for the child of a fork."""


class ControlLostError(Exception):
    """From here on this process is nobody's: the text says why."""


def gate(join: Callable[[], Joined]) -> Gate:  # noqa: C901  one closure: its variables are the hot path's
    """A closed gate: the first step calls `join`, later ones pass until the agent sets a target.

    Whatever goes wrong with the agent ends its control, never the training: said once on stderr. For one thread that
    steps optimizers; several may count a step twice or miss one.
    """
    n = 0
    words = private(target=0)
    agent: socket.socket | None = None

    def pause() -> None:
        nonlocal agent, words
        try:
            if agent is None:
                words[MEMORY_BYTES], joined = _joined(join)
                for word in PROCESS_WORDS:
                    joined.words[word] = words[word]
                agent, words = joined
                _tell(agent)
            if n >= words[TARGET] and not framework.inside_backward():
                _wait(agent, words, n)
        except (ControlLostError, OSError) as lost:  # such as no descriptor left to wait with
            if isinstance(lost, OSError):
                _reraise_foreign(lost)
            words = private(target=RUN)
            if agent is not None:
                agent.close()
            say(f"{lost}; the training goes on by itself")

    pause = framework.uncompiled(pause)

    def step_done(_optimizer: object = None, _args: object = None, _kwargs: object = None, /) -> None:
        nonlocal n  # no container, no global: dynamo compiles a step with this in it once, and not again
        n += 1
        words[STEP] = n
        if n >= words[TARGET]:
            pause()

    def declare(said: Declaration) -> None:
        if said.remaining_steps is not None:
            words[FINAL_STEP] = n + said.remaining_steps
        if said.deadline is not None:
            words[DEADLINE_MS] = max(1, round(said.deadline.timestamp() * 1_000))
        if said.usd_per_gpu_hour is not None:
            words[USD_MICROS_PER_GPU_HOUR] = round(said.usd_per_gpu_hour * 1_000_000)

    def forget() -> None:
        nonlocal n, words, agent
        if agent is not None:
            agent.close()  # else the agent would not see the parent's end while this child lives
        n, words, agent = 0, private(target=0), None

    return Gate(step_done, declare, forget)


def say(text: str) -> None:
    """One line on stderr, where there is one."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"carbonshift: {text}\n")
        sys.stderr.flush()


def _joined(join: Callable[[], Joined]) -> tuple[int, Joined]:
    """The memory in use, in bytes, with the connection."""
    try:
        return framework.memory_used_bytes(), join()
    except Exception as error:  # nothing that an agent answers may reach the user's step
        raise ControlLostError(f"not under control: {error}") from error


def _wait(agent: socket.socket, words: memoryview, n: int) -> None:
    """Stand at step `n` until the target is beyond it. Raises ControlLostError; what a signal handler raises passes."""
    beat, beaten_at = words[HEARTBEAT], time.monotonic()
    words[ACK] = n
    try:
        with signals() as heard:
            poll = select.poll()
            poll.register(agent, select.POLLIN)
            poll.register(heard, select.POLLIN)
            _tell(agent)
            while n >= words[TARGET]:
                if words[AGREED] == n != words[QUIET]:
                    _fall_quiet(words, n)
                    _tell(agent)
                poll.poll(SLICE_MS)
                if leaving := heard.take() & LEAVING:
                    raise ControlLostError(f"signal {min(leaving)} came during a pause")
                _hear(agent)
                if words[HEARTBEAT] != beat:
                    beat, beaten_at = words[HEARTBEAT], time.monotonic()
                elif (time.monotonic() - beaten_at) * 1_000 > words[LEASE_MS]:
                    raise ControlLostError("the agent has stopped thinking")
    finally:
        words[ACK] = words[QUIET] = 0
        with suppress(ControlLostError):  # it shows at the next step that is to stop
            _tell(agent)


def _fall_quiet(words: memoryview, n: int) -> None:
    try:
        framework.synchronize()
        words[MEMORY_BYTES] = framework.memory_used_bytes()
    except RuntimeError as error:  # an error of the user's own kernels, which their next call meets too
        raise ControlLostError(f"the device reports {error}") from error
    words[QUIET] = n


def _tell(agent: socket.socket) -> None:
    """Have the agent look at the page."""
    try:
        agent.send(b".", socket.MSG_NOSIGNAL)
    except OSError as error:
        _reraise_foreign(error)
        raise ControlLostError("the agent is gone") from error


def _hear(agent: socket.socket) -> None:
    """Take the bytes that say "look at the page". An agent killed with unread bytes gives ECONNRESET, not an end."""
    try:
        if agent.recv(256):
            return
    except BlockingIOError:
        return
    except OSError as error:
        _reraise_foreign(error)
    raise ControlLostError("the agent is gone")


def _reraise_foreign(error: OSError) -> None:
    """A user's signal handler may raise TimeoutError, an OSError, amid our call; the kernel's have a number."""
    if error.errno is None:
        raise error
