"""The limit that a setpoint means on this very board. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

__all__ = ["REFERENCE_LIMIT_W", "BoardRange", "Meaning", "fraction_w", "meaning_of", "setpoint_w"]

Meaning = Literal["range", "absolute", "default"]
"""What a state's setpoint, meant for the reference board, is on another: the same share of the board's own range, the
same watts, or the same share of the limit that the board boots with."""

REFERENCE_LIMIT_W = 250.0
"""The default limit of the reference board, a V100: what its curve was measured on, and setpoints are meant for."""
MILLIWATTS_DIGITS = 3
"""Drivers take whole milliwatts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRange:
    """The power limits that a board takes; one that takes none has both ends at the limit it stands at."""

    min_limit_w: float
    max_limit_w: float
    default_limit_w: float
    """What it boots with."""


def meaning_of(name: str, by_model: Mapping[str, Meaning], otherwise: Meaning) -> Meaning:
    """What setpoints mean on a board of that `name`: as the first pattern (`NVIDIA H100*`) that fits it says."""
    return next((meaning for pattern, meaning in by_model.items() if fnmatchcase(name, pattern)), otherwise)


def setpoint_w(
    power_limit_w: float, power_fraction: float, meaning: Meaning, board: BoardRange, ceiling_w: float
) -> float:
    """The power limit in W that a state asks for on this board: within its range, never above `ceiling_w`.

    Args:
        power_limit_w: for the reference board.
        power_fraction: the same as a share of the reference board's range.
        meaning: which of the two is taken, and of what.
        board: its range; a setpoint above it is its highest limit, one below it its lowest.
        ceiling_w: the limit found before the first cap, or a higher one where it may be raised.
    """
    if meaning == "range":
        return fraction_w(power_fraction, board, ceiling_w)
    share = 1.0 if meaning == "absolute" else board.default_limit_w / REFERENCE_LIMIT_W
    return _allowed_w(power_limit_w * share, board, ceiling_w)


def fraction_w(power_fraction: float, board: BoardRange, ceiling_w: float) -> float:
    """The power limit in W for a share of the board's range: 0 its lowest, 1 its highest, never above `ceiling_w`."""
    span_w = board.max_limit_w - board.min_limit_w
    return _allowed_w(board.min_limit_w + min(max(power_fraction, 0.0), 1.0) * span_w, board, ceiling_w)


def _allowed_w(wished_w: float, board: BoardRange, ceiling_w: float) -> float:
    """Clamped after it is rounded: a driver refuses what rounding has put a hair outside the range."""
    return max(board.min_limit_w, min(round(wished_w, MILLIWATTS_DIGITS), board.max_limit_w, ceiling_w))
