"""What drawing as it was drawn has saved, and what it missed, as it is shown. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isclose

from carbonshift.common.accounting import J_PER_KWH
from carbonshift.explain.digest.comparison import Interval, compared
from carbonshift.explain.digest.slots import Slot
from carbonshift.explain.digest.span import Span
from carbonshift.explain.digest.window import lowest_window
from carbonshift.explain.figures import rounded

__all__ = ["Best", "Saved", "saved_in"]

MOST_PERCENT = 999.0
"""Beyond it a share of next to nothing is no figure to show."""
NOISE_DIGITS = 6
"""Sums that differ only further on are one: it is the order of adding that tells them apart."""
MOST_MOVED = 0.03
"""By how much of itself rounding to whole units may move a difference; beyond it hundredths are shown."""
HUNDREDTHS = 2
LEAST_WHOLE_PERCENT = 1.0
NO_BETTER = 1e-9
"""A window whose mean is so near that of all is as good as any other."""
NEARLY_ALL = 0.95
"""A window of so much of what is known would name no hours to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The hours that would have done, one after the other."""

    start: str
    end: str
    mean: float
    """USD/MWh or g/kWh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Modelled: the same energy under three draws; all of it in USD, or in kg."""

    drawn: float
    even: float
    """Drawn evenly over the span, as a static cap does."""
    best: float
    """With perfect foresight."""
    saved: float
    """`even` less `drawn`; below 0 it was more."""
    percent: float | None
    """Of `even`, without a sign; None where that is no figure to show."""
    missed: float
    """`drawn` less `best`."""
    left_out_kwh: float
    """Energy without a price, or a carbon intensity: in none of the sums."""
    hours: Best | None
    """The best window as long as the energy takes at full draw; None where that is nearly all of it, or no better."""

    def facts(self, name: str, unit: str, value_unit: str) -> dict[str, float | str | None]:
        """By name, flat: `cost_drawn_usd`."""
        return {
            f"{name}_drawn_{unit}": self.drawn,
            f"{name}_even_{unit}": self.even,
            f"{name}_best_{unit}": self.best,
            f"{name}_saved_{unit}": self.saved,
            f"{name}_more_{unit}": -self.saved,
            f"{name}_saved_percent": self.percent,
            f"{name}_missed_{unit}": self.missed,
            f"{name}_left_out_kwh": self.left_out_kwh,
            f"{name}_best_from": self.hours.start if self.hours else None,
            f"{name}_best_to": self.hours.end if self.hours else None,
            f"{name}_best_{value_unit}": self.hours.mean if self.hours else None,
        }


def saved_in(
    slots: Sequence[Slot], span: Span, value: Callable[[Slot], float | None], j_per_unit: float
) -> Saved | None:
    """The comparison as it is shown: its differences are rounded once, and are those of what is read.

    For that `even` and `best` are told by how far they are from `drawn`: off by one in the last place at most.

    Args:
        slots: of the span, those with a tick rising.
        span: by whose clock the hours are told.
        value: price or carbon intensity of a slot.
        j_per_unit: joules after which the value has become one USD, or one kg.
    Returns: None where no energy has a value.
    """
    made = compared(
        [
            Interval(
                seconds=slot.seconds,
                energy_j=slot.energy_j,
                value_per_j=None if (one := value(slot)) is None else one / j_per_unit,
            )
            for slot in slots
        ]
    )
    if made is None:
        return None
    even_less, drawn_less = (round(one, NOISE_DIGITS) for one in (made.even - made.drawn, made.drawn - made.best))
    digits = _digits(made.drawn, even_less, drawn_less)
    drawn, saved, missed = (round(one, digits) + 0.0 for one in (made.drawn, even_less, drawn_less))
    (left_out,) = rounded(made.left_out_j / J_PER_KWH)
    return Saved(
        drawn=drawn,
        even=round(drawn + saved, digits) + 0.0,
        best=round(drawn - missed, digits) + 0.0,
        saved=saved,
        percent=_percent(even_less, made.even),
        missed=missed,
        left_out_kwh=left_out,
        hours=_hours(slots, span, value, made.full_draw_seconds),
    )


def _digits(drawn: float, *differences: float) -> int:
    if rounded(drawn) != (round(drawn),):
        return HUNDREDTHS
    moved = any(abs(round(one) - one) > MOST_MOVED * abs(one) for one in differences)
    return HUNDREDTHS if moved else 0


def _percent(saved: float, even: float) -> float | None:
    if even <= 0:
        return None
    exact = abs(saved) / even * 100
    percent = float(round(exact, 0 if exact >= LEAST_WHOLE_PERCENT else HUNDREDTHS))
    return percent if 0 < percent <= MOST_PERCENT else None


def _hours(slots: Sequence[Slot], span: Span, value: Callable[[Slot], float | None], seconds: float) -> Best | None:
    known = [(slot.seconds, one) for slot in slots if (one := value(slot)) is not None]
    whole_seconds = sum(length for length, _ in known)
    if seconds > NEARLY_ALL * whole_seconds:
        return None
    window = lowest_window(((slot.start, slot.end, value(slot)) for slot in slots), seconds)
    mean_of_all = sum(length * one for length, one in known) / whole_seconds
    if window is None or isclose(window.mean, mean_of_all, rel_tol=NO_BETTER, abs_tol=NO_BETTER):
        return None
    (mean,) = rounded(window.mean)
    return Best(start=span.said(window.start), end=span.said(window.end), mean=mean)
