"""Puts a process under control as torch is imported, or when its script asks: nothing is opened before its first step.

Environment: `CARBONSHIFT_CONTROL`, the agent's socket, without which all of this is inert; `CARBONSHIFT_JOB`, the job's
name; `CARBONSHIFT_HOOKS`, the hooks to install, all by default; `CARBONSHIFT_FAIL`, `closed` where a process that waits
shall go on only when an agent says so, by default `open`; and what `declaration` reads.
"""

import os
import socket
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from carbonshift.training import framework
from carbonshift.training.declaration import Declaration, moment
from carbonshift.training.gate import Gate, gate
from carbonshift.training.hook import registered
from carbonshift.training.talk import say
from carbonshift.training.tie import Joined
from carbonshift.training.wire import JOB_NAME, Hello, ask

__all__ = [
    "CONTROL",
    "FAIL",
    "HOOKS",
    "JOB",
    "Session",
    "autoload",
    "expect",
    "fails_closed",
    "is_asked_to_leave",
    "join",
    "leave",
    "name",
    "session",
    "stay",
]

CONTROL: Final = "CARBONSHIFT_CONTROL"
JOB: Final = "CARBONSHIFT_JOB"
HOOKS: Final = "CARBONSHIFT_HOOKS"
FAIL: Final = "CARBONSHIFT_FAIL"

_gate: Gate | None = None
_job: str | None = None
_script_told_steps = False


def autoload() -> None:
    """Install the hooks, once a process. The entry point in group `torch.backends`; raises nothing."""
    global _gate  # noqa: PLW0603  a process has one gate
    if _gate is not None or not os.environ.get(CONTROL):
        return
    try:
        _gate = gate(join, fail_closed=fails_closed())
        _declare_environment()
        os.register_at_fork(after_in_child=_gate.forget)
        os.register_at_fork(after_in_child=_declare_environment)
        _install(_gate)
    except Exception as error:  # noqa: BLE001  an error here would break `import torch`
        say(f"not under control: {error}")


class Session:
    """What was said stands; as a context manager, its end says that no step is left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        global _script_told_steps  # noqa: PLW0603
        _script_told_steps = False
        expect(remaining_steps=0)


def session(
    *,
    job: str | None = None,
    remaining_steps: int | None = None,
    deadline: datetime | str | None = None,
    usd_per_gpu_hour: float | None = None,
) -> Session:
    """Say what this training is; does nothing where no agent controls it. The name counts until the first step.

    What is said here counts, whatever the environment says. To be called, or entered by `with` around the training.

    Args:
        job: 1 to 64 letters, digits, `_` or `-`; by default the environment's, or one made from the pid.
        remaining_steps: optimizer steps from now to the end.
        deadline: when it has to be done; with a time zone, as text by RFC 3339. In the time of a replay where one is
            followed.
        usd_per_gpu_hour: what an hour of a GPU is worth, waiting included.
    Raises: ValueError.
    """
    global _job, _script_told_steps  # noqa: PLW0603  a process is one job
    if job is not None and not JOB_NAME.fullmatch(job):
        raise ValueError(f"the job name {job!r} is not 1 to 64 letters, digits, _ or -")
    until = moment(deadline) if isinstance(deadline, str) else deadline
    said = Declaration(remaining_steps=remaining_steps, deadline=until, usd_per_gpu_hour=usd_per_gpu_hour)
    _job = job or _job
    autoload()
    if _gate is not None:
        _gate.declare(said)
        _script_told_steps = _script_told_steps or remaining_steps is not None
    return Session()


def expect(remaining_steps: int) -> None:
    """What a framework knows of the steps from now to the end: counts unless the script itself has said it.

    Raises: ValueError.
    """
    said = Declaration(remaining_steps=remaining_steps)
    if _gate is not None and not _script_told_steps:
        _gate.declare(said)


def name() -> str:
    """Of the job."""
    return _job or os.environ.get(JOB) or f"pid-{os.getpid()}"


def is_asked_to_leave() -> bool:
    """Whether the agent wants this process to save and end; from the first time on it may."""
    return _gate is not None and _gate.leaves()


def leave() -> int:
    """Say that this process has saved and is about to end; the steps it has done."""
    return _gate.left() if _gate is not None else 0


def stay() -> None:
    """Say that this process could not save, and trains on."""
    if _gate is not None:
        _gate.stays()


def join(seconds: float, *, stands_in: bool = False) -> Joined:
    """Join the agent, which has so many seconds to answer. Raises: OSError, ValueError, RefusedError."""
    rank, world_size = framework.place()
    hello = Hello(job=name(), rank=rank, world_size=world_size, stands_in=stands_in)
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        agent.settimeout(seconds)
        agent.connect(os.environ[CONTROL])
        words = ask(agent, hello)
        agent.setblocking(False)
    except BaseException:
        agent.close()
        raise
    return Joined(agent, words)


def fails_closed() -> bool:
    """Whether a process that waits shall go on only when an agent says so."""
    how = os.environ.get(FAIL) or "open"
    if how not in ("open", "closed"):
        say(f"{FAIL}={how[:40]!r} is neither open nor closed; it is open")
    return how == "closed"


def _declare_environment() -> None:
    global _script_told_steps  # noqa: PLW0603  of a forked child nothing has been said
    _script_told_steps = False
    try:
        said = Declaration.of(os.environ)
    except ValueError as error:
        say(f"what the environment says of this training does not count: {error}")
    else:
        if _gate is not None:
            _gate.declare(said)


def _install(opened: Gate) -> None:
    names = os.environ.get(HOOKS)
    wanted = None if names is None else frozenset(name.strip() for name in names.split(",") if name.strip())
    installed = set()
    for point in registered(wanted):
        try:
            point.load()().install(opened.step_done)
            installed.add(point.name)
        except Exception as error:  # noqa: BLE001  one broken plug-in must not take the others with it
            say(f"hook {point.name} is left out: {error}")
    if missing := sorted((wanted or frozenset()) - installed):
        say(f"{HOOKS} names hooks that are not installed: {', '.join(missing)}")
    if not installed:
        say("not under control: no hook is installed")
