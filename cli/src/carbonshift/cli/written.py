"""Files that a command writes whole, or not at all, and never over what it reads."""

import json
import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any

from carbonshift.common.errors import InputError

__all__ = ["can_write", "write_json", "write_whole"]


def can_write(name: str, path: Path, taken: AbstractSet[Path]) -> None:
    """Look before the work whether `path`, given as option `name`, can be written.

    Raises: InputError where it is among the `taken`, or no file in a folder that exists.
    """
    if _target(name, path) in taken:
        raise InputError(f"{name} {path} is a file that is read or written already", "name another file")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document for `--json`.

    Raises: InputError where it cannot be written; `path` then holds what it held.
    """
    write_whole("--json", path, json.dumps(document, allow_nan=False).encode())


def write_whole(name: str, path: Path, content: bytes) -> None:
    """Write the content for option `name`; where `path` is a link, to what it leads to.

    Raises: InputError where it cannot be written; `path` then holds what it held.
    """
    target = _target(name, path)  # again: much may have happened since the work began
    part = target.with_name(f".{target.name}.part{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(target)
    except OSError as error:
        raise InputError(f"{name} {path}: {error.strerror or error}", "make room, or name another file") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _target(name: str, path: Path) -> Path:
    """What `path` leads to: a regular file, or none yet in a folder that exists."""
    try:
        target = path.resolve()
        if target.is_dir():
            what = "is a folder"
        elif target.exists() and not target.is_file():
            what = "is no regular file"
        elif not target.parent.is_dir():
            what = f"there is no folder {path.parent if not path.is_symlink() else target.parent}"
        else:
            return target
    except (OSError, RuntimeError) as error:  # Python 3.12 and older: RuntimeError where links lead in a circle
        what = getattr(error, "strerror", None) or "leads nowhere"
    raise InputError(f"{name} {path}: {what}", "name a file in a folder that exists")
