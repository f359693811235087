"""What energy took, beside the same energy drawn evenly and drawn at the best time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Comparison", "Interval", "compared"]

LEAST_J = 1.0
"""Less is none: no meter tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of time with one price, or one carbon intensity."""

    seconds: float
    energy_j: float
    value_per_j: float | None
    """USD or g; None = not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Three sums over the intervals whose value is known, all of the same energy; in USD or g."""

    drawn: float
    """As it was drawn."""
    even: float
    """Drawn evenly: what a static cap gets."""
    best: float
    """Drawn with perfect foresight: never more than `drawn`, nor than `even`."""
    left_out_j: float
    """Energy of intervals without a value: in none of the sums."""
    full_draw_seconds: float
    """How long the energy of the sums takes at the most watts that were drawn in any interval."""


def compared(intervals: Sequence[Interval]) -> Comparison | None:
    """The comparison; None where no energy was drawn in an interval with a value.

    Foresight puts the energy into the best intervals, in none at more watts than the most that were drawn in any.
    What this leaves out: a board at even watts does somewhat more work for the same energy than one that stops and
    goes, and no job could have waited for every best hour: it is a bound by energy alone, after the fact.
    """
    known = [(one, one.value_per_j) for one in intervals if one.value_per_j is not None and one.seconds > 0]
    energy_j = sum(one.energy_j for one, _ in known)
    if energy_j < LEAST_J:
        return None
    drawn = sum(one.energy_j * value for one, value in known)
    even = energy_j * sum(one.seconds * value for one, value in known) / sum(one.seconds for one, _ in known)
    most_w = max(one.energy_j / one.seconds for one in intervals if one.seconds > 0)
    best, left_j = 0.0, energy_j
    for one, value in sorted(known, key=lambda pair: pair[1]):
        taken_j = min(left_j, most_w * one.seconds)
        best += taken_j * value
        left_j -= taken_j
    return Comparison(
        drawn=drawn,
        even=even,
        best=min(best, drawn, even),  # which it is but for the last bits of a float
        left_out_j=sum(one.energy_j for one in intervals if one.value_per_j is None),
        full_draw_seconds=energy_j / most_w,
    )
