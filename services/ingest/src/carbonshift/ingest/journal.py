"""A journal of finished parts, beside the file that they are for: an interrupted work resumes where it stopped."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from carbonshift.common.errors import InputError

__all__ = ["Journal"]

MARK = "carbonshift journal"


class Journal:
    """The parts in their order, one line of JSON each below a header; each is on the disk before the next is begun."""

    def __init__(self, path: Path, header: Mapping[str, Any], parts: Sequence[str]) -> None:
        """Open the journal, or begin it.

        Args:
            path: where it lies.
            header: what two works must have in common for one to go on where the other stopped; JSON.
            parts: the names of all parts.

        Raises: InputError where it is the journal of another work, in use, or cannot be written.
        """
        self.path = path
        self.parts = parts
        self.done = 0
        """How many parts are there."""
        try:
            self._file = path.open("ab")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}", "name a folder that can be written to") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._resume({MARK: 1, **header})
        except BlockingIOError as error:
            self._close()
            raise InputError(f"{path} is being written by another process", "wait for that one") from error
        except BaseException:
            self._close()
            raise

    def _resume(self, header: dict[str, Any]) -> None:
        """Count the parts that are there, and cut off the half line that a kill has left."""
        with self.path.open("rb") as lines:
            first = lines.readline()
            if not first.endswith(b"\n"):
                self._file.truncate(0)
                self._write(header)
                return
            self._refuse_another(_whole(first), header)
            end = lines.tell()
            while self.done < len(self.parts):
                line = _whole(lines.readline())
                if line is None or line.get("part") != self.parts[self.done]:
                    break
                self.done += 1
                end = lines.tell()
        self._file.truncate(end)

    def _refuse_another(self, found: dict[str, Any] | None, header: dict[str, Any]) -> None:
        if found is None or MARK not in found:
            raise InputError(f"{self.path} is there already and no journal", "move it away")
        for key in header | found:
            if found.get(key) != header.get(key):
                raise InputError(
                    f"{self.path} has begun with {key} {found.get(key)}, not {header.get(key)}",
                    "give the options it began with to resume it, or remove it to begin anew",
                )

    def append(self, content: object) -> None:
        """Keep the next part; JSON. Raises: InputError where the disk takes no more."""
        self._write({"part": self.parts[self.done], "content": content})
        self.done += 1

    def _write(self, line: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(
                f"{self.path}: {error.strerror}", "make room; what is whole is kept, the same command resumes"
            ) from error

    def contents(self) -> Iterator[Any]:
        """What was appended, part by part: one at a time is in memory."""
        with self.path.open("rb") as lines:
            lines.readline()
            for _ in range(self.done):
                yield json.loads(lines.readline())["content"]

    def remove(self) -> None:
        """Nothing is left to resume."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError):  # of a full disk, which has been told
            self._file.close()


def _whole(line: bytes) -> dict[str, Any] | None:
    """The content of a line; None for half a line, and for what a lost block has left of one."""
    if not line.endswith(b"\n"):
        return None
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
