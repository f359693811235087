"""The memory of every history that decide follows: today's grid and each replay of a region are worlds of their own."""

from collections.abc import Iterator

from carbonshift.common.events import GridState, GridTick
from carbonshift.common.events.replay import mark
from carbonshift.decide.machine import RegionMemory

__all__ = ["Memories"]

REPLAYS_KEPT = 4
"""Of each region; the one not heard of for longest goes first. Today's grid never does."""


class Memories:
    """One RegionMemory a history."""

    def __init__(self) -> None:
        self._by_history: dict[tuple[str, str], RegionMemory] = {}

    def of(self, event: GridTick | GridState) -> RegionMemory:
        """The memory of the history that `event` belongs to; an empty one for a new history."""
        return self._by_history.get(_history(event), RegionMemory())

    def keep(self, event: GridTick | GridState, memory: RegionMemory) -> None:
        """Remember `memory` for the history of `event`."""
        key = _history(event)
        self._by_history.pop(key, None)
        self._by_history[key] = memory  # the newest stands last
        replays = [other for other in self._by_history if other[0] == event.region and other[1]]
        for other in replays[:-REPLAYS_KEPT]:
            del self._by_history[other]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._by_history)


def _history(event: GridTick | GridState) -> tuple[str, str]:
    return event.region, mark(event.replay)
