"""Files that a command writes whole, or not at all, and never over what it reads."""

import json
import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from carbonshift.common.errors import InputError

__all__ = ["can_write", "write_json", "write_whole"]


def can_write(name: str, path: Path, taken: AbstractSet[Path]) -> None:
    """Look before the work whether `path`, given as option `name`, can be written.

    Raises: InputError where it is among the `taken`, or no file in a folder that exists.
    """
    if path.resolve() in taken:
        raise InputError(f"{name} {path} is a file that is read or written already", "name another file")
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise InputError(f"{name} {path}: {what}", "name a file in a folder that exists")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document for `--json`.

    Raises: InputError where it cannot be written; `path` then holds what it held.
    """
    write_whole("--json", path, json.dumps(document, allow_nan=False).encode())


def write_whole(name: str, path: Path, content: bytes) -> None:
    """Write the content for option `name`.

    Raises: InputError where it cannot be written; `path` then holds what it held.
    """
    part = path.with_name(f".{path.name}.part{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise InputError(f"{name} {path}: {error.strerror or error}", "make room, or name another file") from error
    finally:
        part.unlink(missing_ok=True)
