"""Paid answers on disk: what a day has spent outlives a kill, and no question is paid for twice."""

import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.spending import Budget, PaidCall

__all__ = ["AnswerJournal", "BudgetSpentError", "JournalError"]

KEPT = timedelta(days=35)
READ_BYTES = 1 << 20

log = logging.getLogger(__name__)


class BudgetSpentError(CarbonShiftError):
    """The day has no room for another call."""


class JournalError(CarbonShiftError):
    """The journal cannot be read or written, so that nothing would bound what calls cost."""


class AnswerJournal:
    """One file of JSON lines that any number of threads and processes append to; a call stands on two of them.

    The first is written before the call is made, with the most it can cost; the second says what came of it. The last
    one holds, so that a call nobody told the end of is counted as what it may have cost. Each is one write at the end
    of the file, under a lock on it, and whoever decides first reads what others have added.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._rubbish = 0
        self._forget()

    @property
    def rubbish(self) -> int:
        """How many lines could not be made out so far."""
        return self._rubbish

    def find(self, key: str) -> PaidCall | None:
        """The newest call of that question with an answer, else the newest without; None where it was never asked.

        Raises: JournalError where there is a file that cannot be read.
        """
        with self._mutex:
            if self._path.exists():
                with self._open(os.O_RDONLY) as descriptor:
                    self._read_on(descriptor)
            else:
                self._forget()
            calls = [self._calls[name] for name in self._asked.get(key, ())]
        return max(calls, key=lambda call: call.answer is not None, default=None)

    def reserve(self, call: PaidCall, budget: Budget) -> None:
        """Put `call` down with the most it can cost; once this returns it may be made.

        Raises: BudgetSpentError, JournalError.
        """
        with self._mutex:
            self._drop_old_days(call.day)
            with self._open(os.O_RDWR) as descriptor:
                self._read_on(descriptor)
                if exceeded := budget.exceeded(call, self._calls.values()):
                    raise BudgetSpentError(exceeded, "wait for the next UTC day, or raise the budget")
                self._append(descriptor, call)

    def settle(self, call: PaidCall) -> None:
        """Put down what came of a call that was reserved. Raises: JournalError; the reservation then holds."""
        with self._mutex, self._open(os.O_RDWR) as descriptor:
            self._read_on(descriptor)
            self._append(descriptor, call)

    def _drop_old_days(self, today: date) -> None:
        """Replace the file by one without them, at once: whoever waits for the old one looks again for the new."""
        with self._open(os.O_RDWR) as descriptor:
            self._read_on(descriptor)
            kept = [call for call in self._calls.values() if today - call.day <= KEPT]
            if len(kept) == len(self._calls):
                return
            part = self._path.with_suffix(".part")
            with part.open("wb") as file:
                file.writelines(map(_line, kept))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)

    @contextmanager
    def _open(self, flags: int) -> Iterator[int]:
        """The file, locked; made where it is to be written and there is none. Raises: JournalError."""
        reads = flags == os.O_RDONLY
        try:
            if not reads:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                flags |= os.O_APPEND | os.O_CREAT
            descriptor = _locked(self._path, flags)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise JournalError(
                f"{self._path} cannot be {'read' if reads else 'written'}: {error.strerror or error}",
                f"make {self._path.parent} {'readable' if reads else 'writable, on a disk with room'}",
            ) from error

    def _forget(self) -> None:
        self._file: tuple[int, int] | None = None
        self._end = 0
        self._torn = False
        self._calls: dict[str, PaidCall] = {}
        self._asked: dict[str, list[str]] = {}

    def _read_on(self, descriptor: int) -> None:
        """Take in what was added since the last time; all of it where the file is another one."""
        now = os.fstat(descriptor)
        if (now.st_dev, now.st_ino) != self._file or now.st_size < self._end:
            self._forget()
            self._file = now.st_dev, now.st_ino
        added = bytearray()
        while part := os.pread(descriptor, READ_BYTES, self._end + len(added)):
            added += part
        self._end += len(added)
        if added:
            self._torn = not added.endswith(b"\n")
        rubbish = [line for line in bytes(added).split(b"\n") if line.strip() and not self._taken(line)]
        if rubbish and not self._rubbish:
            log.warning("%s: %d lines cannot be made out and are passed over", self._path, len(rubbish))
        self._rubbish += len(rubbish)

    def _taken(self, line: bytes) -> bool:
        try:
            call = PaidCall.model_validate_json(line)
        except ValueError:
            return False
        if call.id not in self._calls:
            self._asked.setdefault(call.key, []).insert(0, call.id)
        self._calls[call.id] = call
        return True

    def _append(self, descriptor: int, call: PaidCall) -> None:
        line = (b"\n" if self._torn else b"") + _line(call)
        if os.write(descriptor, line) < len(line):
            raise OSError("only a part of a line went in")


def _line(call: PaidCall) -> bytes:
    """In ASCII alone: whatever an answer says, a terminal that shows the file takes no orders from it."""
    return json.dumps(call.model_dump(mode="json", exclude_none=True), separators=(",", ":")).encode() + b"\n"


def _locked(path: Path, flags: int) -> int:
    """A descriptor of the file that lies at `path` once nobody else has it."""
    while True:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if flags == os.O_RDONLY else fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:  # renamed away while we waited, and the next one not yet there
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
