"""What is to be undone on a board, on disk until it is: its limit before the first cap, clocks that were lowered."""

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from carbonshift.gpu_worker.board_file import board_file
from carbonshift.gpu_worker.errors import CapturedLimitError

__all__ = ["CapturedLimits"]


class CapturedLimits:
    """A file a board that may still be capped, one more where its clocks may still be lowered; named by its UUID."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def capture(self, uuid: str, limit_w: float, *, nominal: bool = False) -> None:
        """Keep `limit_w` as the limit of `uuid` to go back to, on the disk before this returns.

        A `nominal` one is gone back to by the board's clocks.

        What an earlier run left is kept instead: the limit that stands now may be its cap.

        Raises: CapturedLimitError.
        """
        try:
            self._keep(self._path(uuid), {"uuid": uuid, "limit_w": limit_w, "nominal": nominal})
        except OSError as error:
            raise CapturedLimitError(
                f"the limit of {uuid} cannot be kept safe, so none is set: {error}", f"make {self._folder} writable"
            ) from error

    def note_slowed(self, uuid: str) -> None:
        """The clocks of `uuid` are about to be lowered; on the disk before this returns. Raises: CapturedLimitError."""
        try:
            self._keep(self._clocks_path(uuid), {"uuid": uuid})
        except OSError as error:
            raise CapturedLimitError(
                f"that the clocks of {uuid} are lowered cannot be kept safe, so they are not: {error}",
                f"make {self._folder} writable",
            ) from error

    def slowed(self, uuid: str) -> bool:
        """Whether its clocks may still be lowered: that there is a file says so, whatever is in it.

        Raises: CapturedLimitError.
        """
        path = self._clocks_path(uuid)
        try:
            return path.exists()
        except OSError as error:
            raise CapturedLimitError(
                f"{path} does not say whether {uuid} still has its clocks lowered: {error}",
                f"make {self._folder} readable",
            ) from error

    def forget_slowed(self, uuid: str) -> None:
        """The clocks are as they should be. Raises: CapturedLimitError."""
        try:
            self._forget(self._clocks_path(uuid))
        except OSError as error:
            raise CapturedLimitError(
                f"{uuid} has its clocks back, and its file stays, which would free them once more: {error}",
                f"make {self._folder} writable",
            ) from error

    @property
    def uuids(self) -> set[str]:
        """Of the boards that something is left of; a file that says nothing is its own board's trouble."""
        found = set()
        for path in self._folder.glob("*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                found.add(str(json.loads(path.read_text(encoding="utf-8"))["uuid"]))
        return found

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
        try:
            left = json.loads(self._path(uuid).read_text(encoding="utf-8"))
            limit_w, nominal = left["limit_w"], left.get("nominal", False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.refusal(uuid, error) from error
        if type(limit_w) not in (int, float) or not 0 < limit_w < math.inf or type(nominal) is not bool:
            raise self.refusal(uuid, left)
        return float(limit_w), nominal

    def refusal(self, uuid: str, why: object) -> CapturedLimitError:
        """What to raise where the file of `uuid` says nothing that can be given back."""
        return CapturedLimitError(
            f"{self._path(uuid)} does not say which power limit {uuid} had: {why}",
            "set the limit the board should have (nvidia-smi -pl), then remove the file",
        )

    def forget(self, uuid: str) -> None:
        """The limit is restored: nothing is left to go back to. Raises: CapturedLimitError."""
        try:
            self._forget(self._path(uuid))
        except OSError as error:
            raise CapturedLimitError(
                f"{uuid} has its limit back, and its file stays, which would give it back once more: {error}",
                f"make {self._folder} writable",
            ) from error

    def _path(self, uuid: str) -> Path:
        return board_file(self._folder, uuid)

    def _clocks_path(self, uuid: str) -> Path:
        return self._path(uuid).with_suffix(".clocks.json")

    def _keep(self, path: Path, what: Mapping[str, object]) -> None:
        """Unless something is kept there."""
        if path.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(what, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        self._sync_folder()

    def _forget(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        if self._folder.exists():
            self._sync_folder()

    def _sync_folder(self) -> None:
        """A rename is on the disk once its folder is."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
