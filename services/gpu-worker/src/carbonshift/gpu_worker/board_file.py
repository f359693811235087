"""Where something about a board is kept: one file a board, named by its UUID. For stdlib alone."""

import re
from pathlib import Path

__all__ = ["board_file"]


def board_file(folder: Path, uuid: str) -> Path:
    """The board's own file in `folder`; a UUID is whatever a backend calls one."""
    return folder / f"{re.sub(r'[^A-Za-z0-9_-]', '-', uuid)}.json"
