"""What ties a process to an agent: joined, lost, joined again. Of no cost but at the steps that look for it."""

import select
import socket
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from carbonshift.training import framework
from carbonshift.training.interruption import LEAVING, signals
from carbonshift.training.page import MEMORY_BYTES, PROCESS_WORDS, RUN, TARGET, private
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
MOST_STEPS: Final = 100_000
"""Between two looks; and no more than so many times as many as the time before:"""
FASTER: Final = 8
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

    def meet(self, n: int, words: memoryview) -> tuple[memoryview, int]:
        """Look for the agent after step `n`, and wait where it says so.

        Returns: the words to count on from here, and the step to look again at.
        """
        self._note_pace(n)
        if not self._ended:
            try:
                try:
                    words = self._met(n, words)
                except AgentGoneError as gone:
                    words = self._met_at_last(n, words, gone) if self._fail_closed else self._lose(words, f"{gone}")
            except ControlEndedError as ended:
                self._ended, self._said = True, ""
                words = self._lose(words, f"{ended}")
        self._looked = (n, time.monotonic())
        return words, RUN if self._ended else n + self._steps

    def close(self) -> None:
        """Hang up: in a forked child, else the agent would not see the parent's end while the child lives."""
        if self._agent is not None:
            self._agent.close()

    def _met(self, n: int, words: memoryview) -> memoryview:
        """Raises: AgentGoneError, ControlEndedError; what a signal handler raises passes."""
        if self._agent is None:
            words = self._joined(words)
        agent = self._agent
        assert agent is not None  # noqa: S101  for the type checker
        try:
            hear(agent)
            if n >= words[TARGET] and not framework.inside_backward():
                stand(agent, words, n)
        except OSError as error:  # such as no descriptor left to wait with
            reraise_foreign(error)
            raise ControlEndedError(str(error)) from error
        return words

    def _joined(self, before: memoryview) -> memoryview:
        try:
            before[MEMORY_BYTES] = framework.memory_used_bytes()
            agent, words = self._join(REJOIN_SECONDS if self._said else JOIN_SECONDS)
        except RefusedError as error:
            raise ControlEndedError(f"not under control: {error}") from error
        except Exception as error:  # nothing that an agent answers may reach the user's step
            raise AgentGoneError(f"not under control: {error}") from error
        for word in PROCESS_WORDS:
            words[word] = before[word]
        try:
            tell(agent)
        except AgentGoneError:
            agent.close()
            raise
        self._agent, self._seconds = agent, LOOK_SECONDS
        if self._said:
            say("under control again")
            self._said = ""
        return words

    def _met_at_last(self, n: int, words: memoryview, gone: AgentGoneError) -> memoryview:
        """Wait for an agent, then as it says. Raises: ControlEndedError."""
        with signals() as heard:
            poll = select.poll()
            poll.register(heard, select.POLLIN)
            while True:
                words = self._lose(words, f"{gone}", then="it waits for an agent")
                poll.poll(CLOSED_LOOK_MS)
                if leaving := heard.take() & LEAVING:
                    raise ControlEndedError(f"signal {min(leaving)} came while it waited for an agent")
                try:
                    return self._met(n, words)
                except AgentGoneError as error:
                    gone = error

    def _lose(self, words: memoryview, why: str, then: str = "the training goes on by itself") -> memoryview:
        if self._agent is not None:
            self._agent.close()
            self._agent = None
        if not self._said:
            self._said = why
            say(f"{why}; {then}")
        alone = private(RUN)  # of the page that is left nothing counts: a dead agent's target still stands there
        for word in PROCESS_WORDS:
            alone[word] = words[word]
        return alone

    def _note_pace(self, n: int) -> None:
        """How many steps to let pass until the next look."""
        if self._agent is None and self._said:
            self._seconds = min(LONGEST_LOOK_SECONDS, 2 * self._seconds)
        (before, looked_at), now = self._looked, time.monotonic()
        if n > before and now > looked_at:
            wished = (n - before) / (now - looked_at) * self._seconds
            self._steps = max(1, min(MOST_STEPS, FASTER * self._steps, round(wished)))
