"""The limit found on a board before the first cap, on disk until it has been restored."""

import json
import os
import re
from pathlib import Path

from carbonshift.gpu_worker.errors import CapturedLimitError

__all__ = ["CapturedLimits"]


class CapturedLimits:
    """One file a board, named by its UUID; a file that is there says that the board may still be capped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def capture(self, uuid: str, limit_w: float, *, nominal: bool = False) -> None:
        """Keep `limit_w` as the limit of `uuid` to go back to, on the disk before this returns.

        A `nominal` one is gone back to by the board's clocks.

        What an earlier run left is kept instead: the limit that stands now may be its cap.

        Raises: OSError.
        """
        path = self._path(uuid)
        if path.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump({"uuid": uuid, "limit_w": limit_w, "nominal": nominal}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        self._sync_folder()

    def left_over(self, uuid: str) -> float | None:
        """The limit to go back to that an earlier run has not restored.

        Raises: CapturedLimitError where the file cannot be made out.
        """
        left = self._left(uuid)
        return left and left[0]

    def left_nominal(self, uuid: str) -> bool:
        """Whether that is to be gone back to by the board's clocks. Raises: CapturedLimitError."""
        left = self._left(uuid)
        return left is not None and left[1]

    def _left(self, uuid: str) -> tuple[float, bool] | None:
        path = self._path(uuid)
        try:
            left = json.loads(path.read_text(encoding="utf-8"))
            return float(left["limit_w"]), bool(left.get("nominal"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CapturedLimitError(
                f"{path} does not say which power limit {uuid} had: {error}",
                "set the limit the board should have (nvidia-smi -pl), then remove the file",
            ) from error

    def forget(self, uuid: str) -> None:
        """The limit is restored: nothing is left to go back to."""
        self._path(uuid).unlink(missing_ok=True)
        if self._folder.exists():
            self._sync_folder()

    def _path(self, uuid: str) -> Path:
        return self._folder / f"{re.sub(r'[^A-Za-z0-9_-]', '-', uuid)}.json"

    def _sync_folder(self) -> None:
        """A rename is on the disk once its folder is."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
