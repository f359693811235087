"""The recordings that come with CarbonShift: real, redistributable, described in the README beside them."""

from importlib.resources import files
from pathlib import Path

from carbonshift.common.errors import InputError

__all__ = ["bundled_tapes", "find_tape"]

SUFFIX = ".csv.gz"


def bundled_tapes() -> dict[str, Path]:
    """Their names and where they lie, sorted by name."""
    folder = Path(str(files("carbonshift.ingest") / "recordings"))
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def find_tape(given: Path) -> Path:
    """The file a user means by a path or by the name of a bundled recording.

    Raises: InputError where there is neither.
    """
    if given.exists():
        if not given.is_file():
            raise InputError(
                f"{str(given)!r} is not a file", f"give a tape, or a recording: {', '.join(bundled_tapes())}"
            )
        return given
    bundled = bundled_tapes()
    if str(given) in bundled:
        return bundled[str(given)]
    raise InputError(
        f"{given}: there is no such file", f"give a path, or the name of a bundled recording: {', '.join(bundled)}"
    )
