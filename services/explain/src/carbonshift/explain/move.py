"""Where a value came from: the move that a person would name. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Move", "move_to"]

MOST_OF_IT = 0.8


@dataclass(frozen=True, slots=True)
class Move:
    """A rise or a fall to the value of now."""

    before: float
    """What the value was."""
    took: timedelta
    """From the start of that interval to the start of this one."""


def move_to(
    value: float, at: datetime, starts: tuple[datetime, ...], values: tuple[float | None, ...], least: float
) -> Move | None:
    """The shortest stretch that holds most (80 %) of the largest move to `value`; None where it is below `least`.

    Args:
        value: of the interval that starts `at`.
        at: UTC.
        starts: of the intervals before, rising; any that are not before `at` are left out.
        values: one for each start, in the unit of `value`; None = missing.
        least: what counts as a move, in the unit of `value`; above 0.
    """
    past = [(start, v) for start, v in zip(starts, values, strict=False) if v is not None and start < at]
    moves = [value - v for _, v in past]
    largest = max(moves, key=abs, default=0.0)
    if abs(largest) < least:
        return None
    sign = 1 if largest > 0 else -1
    start, before = next(
        (start, v)
        for (start, v), move in zip(reversed(past), reversed(moves), strict=True)
        if sign * move >= MOST_OF_IT * abs(largest)
    )
    return Move(before, at - start)
