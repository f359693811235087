"""Paid answers on disk: what a day has spent outlives a kill, and no question is paid for twice."""

import fcntl
import json
import logging
import os
import stat
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import repeat
from pathlib import Path

from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.spending import Budget, PaidCall

__all__ = ["AnswerJournal", "BudgetSpentError", "JournalError"]

KEPT_DAYS = 35
LONGEST_LINE_BYTES = 1 << 20
"""Twice what the longest answer takes that is kept, each of its characters escaped."""
LOCK_WAIT_SECONDS, LOCK_RETRY_SECONDS = 10.0, 0.01
OWN_FILE_MODE = 0o600
UNREADABLE = "unreadable"

log = logging.getLogger(__name__)


class BudgetSpentError(CarbonShiftError):
    """The day has no room for another call."""


class JournalError(CarbonShiftError):
    """The journal cannot be read or written, so that nothing would bound what calls cost."""


class AnswerJournal:
    """One file of JSON lines that any number of threads and processes append to; a call stands on two of them.

    The first is written before the call is made, with the most it can cost; the second says what came of it. The last
    one holds, so that a call nobody told the end of is counted as what it may have cost. Each is one write at the end
    of the file, under a lock on it, and whoever decides first reads what others have added. Every method may take as
    long as the disk does, and ten seconds for a lock that others hold.

    A line that cannot be made out is a call of the day around it, at the most that any was reserved at. Kept are the
    last 35 days that something was put down for, in the order of the file: a clock that leaps ahead ages nothing.
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
            self._drop_old_days(call.day, budget)
            with self._open(os.O_RDWR) as descriptor:
                self._read_on(descriptor)
                lost = min(self._lost_on(call.day, descriptor), budget.calls_per_day)
                dearest = call.model_copy(update={"usd": max(self._dearest_usd, call.usd)})
                if exceeded := budget.exceeded(call, (*self._calls.values(), *repeat(dearest, lost))):
                    raise BudgetSpentError(exceeded, "wait for the next UTC day, or raise the budget")
                self._append(descriptor, call)
                os.fsync(descriptor)
                _sync_folder(self._path)

    def settle(self, call: PaidCall) -> None:
        """Put down what came of a call that was reserved. Raises: JournalError; the reservation then holds."""
        with self._mutex, self._open(os.O_RDWR) as descriptor:
            self._read_on(descriptor)
            self._append(descriptor, call)

    def _drop_old_days(self, today: date, budget: Budget) -> None:
        """Replace the file by one without them, at once: whoever waits for the old one looks again for the new."""
        with self._open(os.O_RDWR) as descriptor:
            self._read_on(descriptor)
            days = dict.fromkeys(call.day for call in reversed(self._calls.values()))  # the one put down last is first
            kept_days = {today, *list(days)[:KEPT_DAYS]}
            if days.keys() <= kept_days:
                return
            kept = [call for call in self._calls.values() if call.day in kept_days]
            kept += self._stand_ins({call.day: call for call in kept}, budget)
            kept.sort(key=lambda call: list(days).index(call.day), reverse=True)
            path = self._path.resolve()  # the file, where `_path` is a link to it
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            part.touch(OWN_FILE_MODE, exist_ok=False)
            with part.open("wb") as file:
                os.fchmod(file.fileno(), stat.S_IMODE(os.fstat(descriptor).st_mode))
                file.writelines(map(_line, kept))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(path)

    def _stand_ins(self, of_day: dict[date, PaidCall], budget: Budget) -> Iterator[PaidCall]:
        """For each line that could not be made out a call that can, given one call of each day."""
        for day, call in of_day.items():
            told = {"key": "", "usd": self._dearest_usd, "answer": None, "reason": UNREADABLE}
            told |= {"tokens_in": None, "tokens_out": None}
            for _ in range(min(self._lost[day], budget.calls_per_day)):
                yield call.model_copy(update={"id": uuid.uuid4().hex} | told)

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
        self._dearest_usd = 0.0
        self._day: date | None = None
        self._lost: Counter[date | None] = Counter()

    def _read_on(self, descriptor: int) -> None:
        """Take in what was added since the last time; all of it where the file is another one."""
        now = os.fstat(descriptor)
        if (now.st_dev, now.st_ino) != self._file or now.st_size < self._end:
            self._forget()
            self._file = now.st_dev, now.st_ino
        lost, begun = 0, False
        with open(descriptor, "rb", closefd=False) as file:
            file.seek(self._end)
            while part := file.readline(LONGEST_LINE_BYTES):
                self._end += len(part)
                self._torn = not part.endswith(b"\n")
                if not begun and part.strip() and not self._taken(part):
                    self._lost[self._day] += 1
                    lost += 1
                begun = self._torn  # what follows is of the same line, which is longer than any of ours
        if lost and not self._rubbish:
            log.warning("%s: %d lines cannot be made out and count as calls", self._path, lost)
        self._rubbish += lost

    def _taken(self, line: bytes) -> bool:
        try:
            call = PaidCall.model_validate_json(line)
        except ValueError:
            return False
        if call.id not in self._calls:
            self._asked.setdefault(call.key, []).insert(0, call.id)
        self._calls[call.id] = call
        self._dearest_usd = max(self._dearest_usd, call.usd)
        self._day = call.day
        self._lost[self._day] += self._lost.pop(None, 0)
        return True

    def _lost_on(self, day: date, descriptor: int) -> int:
        """How many lines of that day could not be made out; where none could, the file says of which day it is."""
        written = datetime.fromtimestamp(os.fstat(descriptor).st_mtime, UTC).date()
        return self._lost[day] + (self._lost[None] if written == day else 0)

    def _append(self, descriptor: int, call: PaidCall) -> None:
        line = (b"\n" if self._torn else b"") + _line(call)
        if (written := os.write(descriptor, line)) < len(line):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError("only a part of a line went in")


def _line(call: PaidCall) -> bytes:
    """In ASCII alone: whatever an answer says, a terminal that shows the file takes no orders from it."""
    return json.dumps(call.model_dump(mode="json", exclude_none=True), separators=(",", ":")).encode() + b"\n"


def _sync_folder(path: Path) -> None:
    """A name that is new outlives a loss of power as well."""
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path, flags: int) -> int:
    """A descriptor of the file that lies at `path` once nobody else has it."""
    until = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        descriptor = os.open(path, flags | os.O_CLOEXEC, OWN_FILE_MODE)
        try:
            _lock(descriptor, fcntl.LOCK_SH if flags == os.O_RDONLY else fcntl.LOCK_EX, until)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:  # renamed away while we waited, and the next one not yet there
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, kind: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise OSError(f"another process has locked it for {LOCK_WAIT_SECONDS:g} seconds") from None
            time.sleep(LOCK_RETRY_SECONDS)
        else:
            return
