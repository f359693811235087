"""Runs a training, and begins it again each time it has left its device: `python -m carbonshift.training.begin_again`.

While it is away this process stands in for it with the agent, and waits until that lets it run. Arguments, exit code
and signals are the training's own: one that was not sent by the terminal, which reaches both, is passed on.
"""

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from carbonshift.training import autoload
from carbonshift.training.declaration import TOTAL_STEPS
from carbonshift.training.left_note import LEFT_AT, NAME
from carbonshift.training.page import AGREED, LEAVE, PARKED, PROCESS_WORDS, RUN, STEP, TARGET
from carbonshift.training.standing import SLICE_MS, AgentGoneError, Heart, hear, tell
from carbonshift.training.talk import say
from carbonshift.training.tie import CLOSED_LOOK_MS, REJOIN_SECONDS, Joined
from carbonshift.training.wire import MESSAGE_BYTES

__all__ = ["StandIn", "main"]

FAULTS: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT}
)
TERMINALS: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT, signal.SIGWINCH})
OWN: Final = FAULTS | TERMINALS | {signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP}
"""Signals that are about this very process, or that a terminal sends to both."""
ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
"""After which a training that then leaves is not begun again."""
ENDING_SECONDS: Final = 60.0
"""One that trains on for longer has made nothing of it."""
SI_KERNEL: Final = 0x80
"""The code of a signal that the kernel sends, as for Ctrl-C in a terminal: to both. Source: sigaction(2)."""
CANNOT_RUN: Final = 2
NOTICED_SECONDS: Final = 10.0
"""Within which an agent notices that a training has left."""
PR_SET_PDEATHSIG: Final = 1
SIGNALLED: Final = 128
"""A shell's exit code for a program that signal N has ended is this and N."""


def main() -> None:
    """Run the command of the command line until it ends without having left; ends as that did."""
    command = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it waits; while the training runs that one has it
    left_at = os.memfd_create(NAME)
    done, stand_in = 0, None
    with suppress(AgentGoneError):  # the training itself says so
        stand_in = StandIn.joined(done)
    while True:
        try:
            status, told = _run(command, _environment(left_at, done))
        except OSError as error:
            say(f"{command[0]}: {error.strerror}; name a program that can be run")
            sys.exit(CANNOT_RUN)
        left = os.pread(left_at, MESSAGE_BYTES, 0)
        if not left or told:
            break
        os.ftruncate(left_at, 0)
        steps, job = left.decode("ascii").split()
        done += int(steps)
        if job != autoload.name():  # it has named itself
            os.environ[autoload.JOB], stand_in = job, None
        stand_in = _until_it_may_run(stand_in, done)
    _end_as(-told if told and left else status)


def _environment(left_at: int, done: int) -> Mapping[str, str]:
    """That of this process; what it says of all steps is said of those that are left."""
    environment = {**os.environ, LEFT_AT: f"/proc/{os.getpid()}/fd/{left_at}"}
    if done and (total := environment.get(TOTAL_STEPS, "")).isdecimal():
        environment[TOTAL_STEPS] = str(max(0, int(total) - done))
    return environment


def _run(command: list[str], environment: Mapping[str, str]) -> tuple[int, int]:
    """How `command` ended, as Popen tells it: below 0 by a signal; and the signal that has told it to end, or 0.

    Raises: OSError where it cannot be begun.
    """
    told, told_at = 0, 0.0
    passed_on = _passed_on()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on | {signal.SIGCHLD})
    try:

        def in_child() -> None:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

        child = subprocess.Popen(command, env=environment, preexec_fn=in_child)  # noqa: PLW1509  one thread
        while (status := child.poll()) is None:
            heard = signal.sigwaitinfo(passed_on | {signal.SIGCHLD})
            if heard.si_signo == signal.SIGCHLD:
                continue
            if heard.si_signo in ENDING:
                told, told_at = heard.si_signo, time.monotonic()
            if heard.si_code != SI_KERNEL:
                child.send_signal(heard.si_signo)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return status, told if time.monotonic() < told_at + ENDING_SECONDS else 0


def _passed_on() -> set[int]:
    """The signals that are the training's; one that is ignored here is so there."""
    return {
        int(number)
        for number in signal.valid_signals() - OWN
        if signal.getsignal(number) is not signal.SIG_IGN and number < signal.SIGRTMIN
    }


def _until_it_may_run(stand_in: "StandIn | None", done: int) -> "StandIn | None":
    """Return once the agent lets the training run, or, unless it shall fail closed, there is none."""
    told, old, before = False, stand_in is not None, stand_in
    ignored = _passed_on() - ENDING - {signal.SIGPIPE, signal.SIGXFSZ}  # Python's own
    for number in ignored:  # what the training would have made of them it cannot now
        signal.signal(number, signal.SIG_IGN)
    try:
        while True:
            try:
                stand_in = stand_in or StandIn.joined(done, before)
                before = stand_in
                stand_in.wait()
            except AgentGoneError as gone:
                stand_in, closed = None, autoload.fails_closed()
                if old:  # another may have come since
                    old = False
                    continue
                if not told:
                    told = True
                    say(f"{gone}; " + ("it waits for an agent" if closed else "the training is begun again"))
                if not closed:
                    return None
                time.sleep(CLOSED_LOOK_MS / 1_000)
            else:
                say("the training is begun again")
                return stand_in
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)


class StandIn:
    """What keeps a training that has left in its agent's sight."""

    def __init__(self, joined: Joined) -> None:
        self._agent, self.words = joined
        self._times = 0
        """It has been told so often that it counts as the training."""

    @classmethod
    def joined(cls, done: int, before: "StandIn | None" = None) -> "StandIn":
        """For a training that is there, or, with more than 0 steps `done`, has left; what `before` was told of
        it is said again. Raises: AgentGoneError.
        """
        try:
            joined = autoload.join(REJOIN_SECONDS, stands_in=True)
            if before is not None:
                for word in PROCESS_WORDS:
                    joined.words[word] = before.words[word]
            if done:
                joined.words[PARKED], joined.words[STEP] = LEAVE, joined.words[STEP] or done
            tell(joined.agent)
        except Exception as error:  # whatever it answers
            raise AgentGoneError(f"not under control: {error}") from error
        return cls(joined)

    def wait(self) -> None:
        """Return once the agent knows that the training has left, and lets it run. Raises: AgentGoneError."""
        agent, words = self._agent, self.words
        heart, began = Heart(words), time.monotonic()
        poll = select.poll()
        poll.register(agent, select.POLLIN)
        while words[TARGET] != RUN or (words[AGREED] == self._times and time.monotonic() < began + NOTICED_SECONDS):
            poll.poll(SLICE_MS)
            hear(agent)
            heart.demand_beat()
        self._times = words[AGREED]


def _end_as(status: int) -> None:
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the training's own is enough
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
        status = SIGNALLED - status  # pid 1 of a container cannot end so
    sys.exit(status)


if __name__ == "__main__":
    main()
