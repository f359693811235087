"""What ties a process to an agent: joined, lost, joined again. Of no cost but at the steps that look for it."""

import select
import socket
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from carbonshift.training import framework
from carbonshift.training.interruption import LEAVING, signals
from carbonshift.training.page import LEAVE, MEMORY_BYTES, PROCESS_WORDS, RUN, TARGET, TIER, private
from carbonshift.training.standing import AgentGoneError, ControlEndedError, hear, reraise_foreign, stand, tell
from carbonshift.training.talk import say
from carbonshift.training.wire import RefusedError

__all__ = ["CLOSED_LOOK_MS", "JOIN_SECONDS", "Join", "Joined", "Tie"]

JOIN_SECONDS: Final = 5.0
"""An agent that has not answered by then is none."""
REJOIN_SECONDS: Final = 0.25
"""The same for one that is tried again: what hangs there shall cost the training little."""
LOOK_SECONDS: Final = 5.0
"""About how often a running process looks for its agent."""
LONGEST_LOOK_SECONDS: Final = 60.0
"""About how often at most, after it was not there time and again."""
MOST_STEPS: Final = 1_000
"""Between two looks: the steps that follow may be slower. And so many times as many as the time before, at most:"""
FASTER: Final = 8
NO_AGENT: Final = (OSError, ValueError, TypeError, KeyError, RuntimeError)
"""What an agent that is absent, slow or talks nonsense can make of joining; what else is raised is the user's."""
CLOSED_LOOK_MS: Final = 1_000
"""How often a process that may not run without an agent looks for one."""


class Joined(NamedTuple):
    """A connection to an agent: its socket, and the words of the page shared with it."""

    agent: socket.socket
    words: memoryview


Join = Callable[[float], Joined]
"""Joins the agent, which has so many seconds to answer. Raises: anything where it does not."""


class Tie:
    """Of one process. It never raises because of an agent, and says once how things stand.

    Args:
        join: connects to the agent.
        fail_closed: a process that waits goes on only when an agent says so, and waits for one at its first step. One
            that runs is never stopped for lack of an agent: its ranks would stop at different steps.
    """

    def __init__(self, join: Join, *, fail_closed: bool) -> None:
        self._join, self._fail_closed = join, fail_closed
        self._agent: socket.socket | None = None
        self._ended = False
        self._said = ""
        self._looked = (0, time.monotonic())
        self._steps, self._seconds = 1, LOOK_SECONDS
        self.words = private(RUN)
        """To count on, and to be looked at after each step."""
        self.look = 0
        """The step to meet at next, whatever the words say."""

    def meet(self, n: int) -> None:
        """Look for the agent after step `n`, and wait where it says so."""
        self._note_pace(n)
        self.look = RUN if self._ended else n + self._steps
        if self._ended:
            return
        try:
            try:
                self._met(n)
            except AgentGoneError as gone:
                if self._fail_closed:
                    self._meet_another(n, gone)
                else:
                    self._lose(f"{gone}")
        except ControlEndedError as ended:
            self._ended, self._said, self.look = True, "", RUN
            self._lose(f"{ended}")
        self._looked = (n, time.monotonic())

    def close(self) -> None:
        """Hang up: in a forked child, else the agent would not see the parent's end while the child lives."""
        if self._agent is not None:
            self._agent.close()

    def _met(self, n: int) -> None:
        """Raises: AgentGoneError, ControlEndedError; what a signal handler raises passes."""
        agent = self._agent or self._joined()
        try:
            hear(agent)
            if n >= self.words[TARGET] and not framework.inside_backward():
                stand(agent, self.words, n)
        except OSError as error:  # such as no descriptor left to wait with
            reraise_foreign(error)
            raise ControlEndedError(str(error)) from error

    def _joined(self) -> socket.socket:
        before = self.words
        try:
            before[MEMORY_BYTES] = framework.memory_used_bytes()
            agent, words = self._join(REJOIN_SECONDS if self._said else JOIN_SECONDS)
        except RefusedError as error:
            raise (ControlEndedError if error.lasting else AgentGoneError)(f"not under control: {error}") from error
        except NO_AGENT as error:
            raise AgentGoneError(f"not under control: {error}") from error
        _copy(before, words)
        try:
            tell(agent)
        except AgentGoneError:
            agent.close()
            raise
        self._agent, self.words, self._seconds = agent, words, LOOK_SECONDS
        if self._said:
            say("under control again")
            self._said = ""
        return agent

    def _meet_another(self, n: int, gone: AgentGoneError) -> None:
        """Wait for an agent, then as it says. Raises: ControlEndedError."""
        with signals() as heard:
            poll = select.poll()
            poll.register(heard, select.POLLIN)
            while True:
                self._lose(f"{gone}", then="it waits for an agent")
                poll.poll(CLOSED_LOOK_MS)
                if leaving := heard.take() & LEAVING:
                    raise ControlEndedError(f"signal {min(leaving)} came while it waited for an agent")
                try:
                    return self._met(n)
                except AgentGoneError as error:
                    gone = error

    def _lose(self, why: str, then: str = "the training goes on by itself") -> None:
        if self._agent is not None:
            self._agent.close()
            self._agent = None
        if not self._said:
            self._said = why
            say(f"{why}; {then}")
        alone = private(RUN)  # of the page that is left nothing counts: a dead agent's target still stands there
        _copy(self.words, alone)
        if self.words[TIER] == LEAVE:  # but for this: its ranks all know it, and some may have left
            alone[TIER] = LEAVE
        self.words = alone

    def _note_pace(self, n: int) -> None:
        """How many steps to let pass until the next look."""
        if self._agent is None and self._said:
            self._seconds = min(LONGEST_LOOK_SECONDS, 2 * self._seconds)
        (before, looked_at), now = self._looked, time.monotonic()
        if n > before and now > looked_at:
            wished = (n - before) / (now - looked_at) * self._seconds
            self._steps = max(1, min(MOST_STEPS, FASTER * self._steps, round(wished)))


def _copy(before: memoryview, words: memoryview) -> None:
    """What the process says of itself."""
    for word in PROCESS_WORDS:
        words[word] = before[word]
