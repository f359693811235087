"""Signals that arrive during a wait.

`poll` goes on after a Python signal handler that only sets a flag (PEP 475), so a trainer that means to save and leave
on SIGTERM would stay paused, its flag unread. The wake-up descriptor tells of the signal; handlers run as ever, unless
what they may look at is not in its place.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

__all__ = ["LEAVING", "Signals", "deferred_handlers", "signals"]

LEAVING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals after which a process has to be let go."""


class Signals:
    """The handled signals since the wait began; `fileno` is readable when there are some."""

    def __init__(self, arrivals: socket.socket, listener: int) -> None:
        self._arrivals, self._listener = arrivals, listener

    def fileno(self) -> int:
        """For `poll`."""
        return self._arrivals.fileno()

    def take(self) -> frozenset[int]:
        """The numbers of the signals not yet taken; passed on to whoever listened before, such as an event loop."""
        with suppress(BlockingIOError):
            numbers = self._arrivals.recv(256)
            if self._listener != -1:
                with suppress(OSError):
                    os.write(self._listener, numbers)
            return frozenset(numbers)
        return frozenset()


@contextmanager
def signals() -> Iterator[Signals]:
    """Listen for handled signals; off the main thread none are ever heard, since Python runs handlers on it alone."""
    readable, writable = socket.socketpair()
    with readable, writable:
        readable.setblocking(False)
        writable.setblocking(False)
        if threading.current_thread() is not threading.main_thread():
            yield Signals(readable, -1)
            return
        before = signal.set_wakeup_fd(writable.fileno(), warn_on_full_buffer=False)
        heard = Signals(readable, before)
        try:
            yield heard
        finally:
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            heard.take()


@contextmanager
def deferred_handlers() -> Iterator[list[int]]:
    """Have the handlers of signals that arrive meanwhile run at the end, each once; yields those signals' numbers.

    Signals that no Python code handles do what they always do: SIGTERM without a handler ends the process at once.
    """
    pending: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # where none are handled
        yield pending
        return
    before = {number: handler for number in signal.valid_signals() if callable(handler := signal.getsignal(number))}
    try:
        with _none_arrives():
            for number in before:
                signal.signal(number, lambda number, _frame: pending.append(number))
        yield pending
    finally:
        with ExitStack() as handling, _none_arrives():
            for number, handler in before.items():
                signal.signal(number, handler)
            for number in reversed(dict.fromkeys(pending)):
                handling.callback(signal.raise_signal, number)


@contextmanager
def _none_arrives() -> Iterator[None]:
    """Have this thread's signals wait: handlers are exchanged all or none."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
