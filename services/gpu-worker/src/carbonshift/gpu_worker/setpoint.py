"""The limit that a setpoint means on this very board. Pure."""

from dataclasses import dataclass

__all__ = ["BoardRange", "setpoint_w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRange:
    """The power limits that a board takes; one that takes none has both ends at the limit it stands at."""

    min_limit_w: float
    max_limit_w: float


def setpoint_w(power_fraction: float, board: BoardRange, captured_w: float) -> float:
    """The power limit in W for `power_fraction` of the board's range, never above `captured_w`.

    Args:
        power_fraction: 0 the board's lowest limit, 1 its highest; what lies outside is clamped.
        board: its range.
        captured_w: the limit found before the first cap.
    """
    span_w = board.max_limit_w - board.min_limit_w
    wished_w = board.min_limit_w + min(max(power_fraction, 0.0), 1.0) * span_w
    return max(board.min_limit_w, min(wished_w, board.max_limit_w, captured_w))
