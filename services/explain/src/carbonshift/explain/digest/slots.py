"""The intervals of a span, each with its price, its carbon intensity and what was drawn in it. Pure."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from carbonshift.common.events import CarbonBasis
from carbonshift.explain.digest.heard import Heard, laid_out

__all__ = ["Slot", "prevailing_basis", "slots_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One interval; a value of None is not known, or not to be trusted."""

    start: datetime
    end: datetime
    price_usd_per_mwh: float | None = None
    carbon_g_per_kwh: float | None = None
    energy_j: float = 0.0

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()


def prevailing_basis(heard: Heard) -> CarbonBasis | None:
    """The basis of most carbon intensities; the others are in no sum with them. None where there are none."""
    bases = Counter(tick.carbon_basis for tick in heard.ticks.values() if tick.carbon_g_per_kwh is not None)
    return max(sorted(bases), key=bases.__getitem__, default=None)


def slots_of(heard: Heard) -> Sequence[Slot]:
    """Those of the ticks, rising, and after them those of energy whose interval has no tick.

    A carbon intensity of another basis than the prevailing one is none.
    """
    basis = prevailing_basis(heard)
    slots = [
        Slot(
            start=start,
            end=end,
            price_usd_per_mwh=tick.price_usd_per_mwh,
            carbon_g_per_kwh=tick.carbon_g_per_kwh if tick.carbon_basis is basis else None,
        )
        for start, end, tick in laid_out(heard.ticks)
    ]
    starts = [slot.start for slot in slots]
    lone: list[Slot] = []
    for draw in heard.draws:
        index = bisect_right(starts, draw.start) - 1
        if index >= 0 and draw.start < slots[index].end:
            slots[index] = replace(slots[index], energy_j=slots[index].energy_j + draw.energy_j)
        else:
            lone.append(Slot(start=draw.start, end=draw.end, energy_j=draw.energy_j))
    return [*slots, *lone]
