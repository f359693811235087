"""What drawing as it was drawn has saved, and what it missed, as it is shown. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    """The best window as long as the energy takes at full draw; None where that is nearly the whole span."""

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
    """The comparison as it is shown: rounded first, so that its differences are those of what is read.

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
    exact = (round(one, NOISE_DIGITS) for one in (made.drawn, made.even, made.best))
    drawn, even, best = rounded(*exact)
    saved = round(even - drawn, 2) + 0.0
    (left_out,) = rounded(made.left_out_j / J_PER_KWH)
    return Saved(
        drawn=drawn,
        even=even,
        best=best,
        saved=saved,
        percent=_percent(saved, even),
        missed=round(drawn - best, 2) + 0.0,
        left_out_kwh=left_out,
        hours=_hours(slots, span, value, made.full_draw_seconds),
    )


def _percent(saved: float, even: float) -> float | None:
    if even <= 0:
        return None
    percent = float(round(abs(saved) / even * 100))
    return percent if 0 < percent <= MOST_PERCENT else None


def _hours(slots: Sequence[Slot], span: Span, value: Callable[[Slot], float | None], seconds: float) -> Best | None:
    known = [(slot.start, slot.end, value(slot)) for slot in slots]
    if seconds > NEARLY_ALL * sum(slot.seconds for slot in slots if value(slot) is not None):
        return None
    window = lowest_window(known, seconds)
    if window is None:
        return None
    (mean,) = rounded(window.mean)
    return Best(start=span.said(window.start), end=span.said(window.end), mean=mean)
