"""Which of several sources is used: the first healthy one, without flapping between them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Standing", "first_healthy"]

FAILURES_TO_LEAVE = 2
SUCCESSES_TO_RETURN = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """How a source has done lately; it is left after two failures running, and returned to after three successes."""

    healthy: bool = True
    running: int = 0
    """How many outcomes of the kind that would change `healthy` came one after the other."""

    def after(self, success: bool) -> "Standing":  # noqa: FBT001
        """The standing after one more outcome."""
        if success is self.healthy:
            return Standing(self.healthy)
        needed = FAILURES_TO_LEAVE if self.healthy else SUCCESSES_TO_RETURN
        return Standing(success) if self.running + 1 >= needed else Standing(self.healthy, self.running + 1)


def first_healthy(standings: Sequence[Standing]) -> int:
    """Its place; where none is healthy the first: what it gives, late as it may be, is what was wished for."""
    return next((place for place, standing in enumerate(standings) if standing.healthy), 0)
