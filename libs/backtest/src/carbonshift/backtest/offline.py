"""The states that decide would publish for a tape, by the very same functions and without a broker."""

from collections.abc import Iterable, Iterator

from carbonshift.common.events import GridState, GridTick
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.regional import Regional
from carbonshift.decide.settings import DecideSettings

__all__ = ["offline_states"]


def offline_states(ticks: Iterable[GridTick], settings: DecideSettings) -> Iterator[GridState]:
    """The state of each tick of one region, in order; a tick that decides nothing gives none."""
    regional = Regional(settings)
    memory = RegionMemory()
    for tick in ticks:
        policy, own = regional.of(tick.region)
        memory, _, state = step(memory, tick, policy, own)
        if state:
            yield state
