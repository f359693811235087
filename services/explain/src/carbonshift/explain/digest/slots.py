"""The intervals of a span, each with its price, its carbon intensity and what was drawn in it. Pure."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from carbonshift.common.events import CarbonBasis
from carbonshift.explain.digest.draws import Draw
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
    """Those of the ticks, rising, and after them those of energy whose time has no tick.

    Energy lies in the ticks that its interval meets, in each by the time that it has of it. A carbon intensity of
    another basis than the prevailing one is none.
    """
    basis = prevailing_basis(heard)
    slots = [
        Slot(
            start=start,
            end=end,
            price_usd_per_mwh=tick.price_usd_per_mwh,
            carbon_g_per_kwh=tick.carbon_g_per_kwh if tick.carbon_basis is basis else None,
        )
        for start, end, tick in laid_out(heard.ticks, heard.span)
    ]
    starts = [slot.start for slot in slots]
    energy_j, lone = [0.0] * len(slots), list[Slot]()
    for draw in heard.draws:
        for index, start, end in _pieces(draw, slots, max(bisect_right(starts, draw.start) - 1, 0)):
            piece_j = draw.energy_j * ((end - start) / (draw.end - draw.start))
            if index is None:
                lone.append(Slot(start=start, end=end, energy_j=piece_j))
            else:
                energy_j[index] += piece_j
    return [*(replace(slot, energy_j=drawn_j) for slot, drawn_j in zip(slots, energy_j, strict=True)), *lone]


def _pieces(draw: Draw, slots: Sequence[Slot], first: int) -> Iterator[tuple[int | None, datetime, datetime]]:
    """Its time, cut where slots begin and end, each piece with the index of its slot; None for what lies in none."""
    at = draw.start
    for index in range(first, len(slots)):
        slot = slots[index]
        if slot.start >= draw.end:
            break
        if slot.end <= at:
            continue
        if slot.start > at:
            yield None, at, slot.start
            at = slot.start
        end = min(slot.end, draw.end)
        yield index, at, end
        at = end
    if at < draw.end:
        yield None, at, draw.end
