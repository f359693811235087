"""Signals that arrive during a wait.

`poll` goes on after a Python signal handler that only sets a flag (PEP 475), so a trainer that means to save and leave
on SIGTERM would stay paused, its flag unread. The wake-up descriptor tells of the signal; handlers run as ever.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

__all__ = ["LEAVING", "Signals", "signals"]

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
