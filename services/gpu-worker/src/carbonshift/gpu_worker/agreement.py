"""The one step at which all ranks of a job stop, with no collective pending. Pure: the clock is handed in.

A flag would not do: ranks would see it at different steps, and those that stopped first would leave the others waiting
in a collective until it fails. So a step ahead of all is named. It is only ever raised: a rank that has passed it while
it was being written may already wait for the others further on.
"""

import math
from collections.abc import Sequence

__all__ = ["STEPS_AHEAD", "Agreement", "steps_ahead"]

STEPS_AHEAD = 3
"""Of the first target. Each further one is twice as far ahead, until ranks quicker than the agent are caught."""
SLIPPED_SECONDS = 0.02
"""A rank that has reached the step and does not wait there for so long has passed it."""


def steps_ahead(round_trip_seconds: float, steps_per_s: float) -> int:
    """How far the first target is ahead of ranks that hear of it `round_trip_seconds` after they were read.

    Twice the steps that they do meanwhile: what is read is old, and what is written is under way.
    """
    return STEPS_AHEAD + math.ceil(2 * round_trip_seconds * steps_per_s)


class Agreement:
    """What to write next, given how far the ranks are; steps are counted from each rank's first."""

    def __init__(self, ahead: int = STEPS_AHEAD) -> None:
        self.target, self._ahead = 0, ahead
        self._written = self._fresh = False
        self._late_since: dict[int, float] = {}

    def agreed(self, acks: Sequence[int]) -> bool:
        """Whether every rank waits at the target; `acks` are the steps they wait at, 0 while they run."""
        return self._written and all(ack == self.target for ack in acks)

    def next_target(self, steps: Sequence[int], acks: Sequence[int], now_seconds: float) -> int | None:
        """The target to write to every rank, then to be asked again at once; None where the one that stands will do.

        Args:
            steps: done by each rank, as read after the last target was written to all.
            acks: the step each waits at; 0 while it runs.
            now_seconds: of a clock that goes forward.
        """
        if not self._written:
            return self._raise(steps)
        if self._read_back(steps) or self._slipped(steps, acks, now_seconds):
            return self._raise(steps)
        return None

    def _raise(self, steps: Sequence[int]) -> int:
        self.target = max(max(steps) + self._ahead, self.target + 1)
        self._ahead *= 2
        self._written = self._fresh = True
        self._late_since = {}
        return self.target

    def _read_back(self, steps: Sequence[int]) -> bool:
        """Whether a rank came so close while the target was written that it may have read the old one."""
        fresh, self._fresh = self._fresh, False
        return fresh and max(steps) > self.target - 2

    def _slipped(self, steps: Sequence[int], acks: Sequence[int], now_seconds: float) -> bool:
        late = {rank for rank, (step, ack) in enumerate(zip(steps, acks, strict=True)) if step >= self.target != ack}
        self._late_since = {rank: self._late_since.get(rank, now_seconds) for rank in late}
        return any(now_seconds - since >= SLIPPED_SECONDS for since in self._late_since.values())
