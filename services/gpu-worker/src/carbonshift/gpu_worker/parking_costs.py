"""What each parking tier has cost on one board, measured as it happens; until then what is assumed. Pure."""

import statistics
from collections import deque
from collections.abc import Mapping

from carbonshift.common.power_curve import PowerCurve
from carbonshift.gpu_worker.parking import Tier, TierCost
from carbonshift.gpu_worker.training_process import JobView

__all__ = ["SETTLE_SECONDS", "ParkingCosts"]

SETTLE_SECONDS = 5.0
"""A tier has to have lasted so long before a reading counts as its draw: sensors tell a mean over a second or more."""
READINGS = 32
CLOCKS_SECONDS = 0.1
"""Assumed for locking clocks and freeing them."""
CHECKPOINT_SECONDS = 120.0
"""Assumed for saving, ending, starting and loading."""
COPY_BYTES_PER_S = 12e9
"""Assumed between a board and pinned memory: what PCIe 3.0 of 16 lanes gives of its 15.75 GB/s."""


class ParkingCosts:
    """Of one board and the jobs on it."""

    def __init__(self, curve: PowerCurve) -> None:
        self._curve = curve
        self._draws: dict[Tier, deque[float]] = {}
        self._seconds: dict[tuple[Tier, str | None], float] = {}

    def note_draw(self, tier: Tier, power_w: float) -> None:
        """The board has drawn so much, having been in `tier` for `SETTLE_SECONDS`."""
        self._draws.setdefault(tier, deque(maxlen=READINGS)).append(power_w)

    def note_transition(self, tier: Tier, seconds: float, job: str | None = None) -> None:
        """Into `tier` and out of it took so long; of `job`, or of the board."""
        self._seconds[tier, job] = seconds

    def forget(self, job: str) -> None:
        """It has ended."""
        for key in [key for key in self._seconds if key[1] == job]:
            del self._seconds[key]

    def draw_w(self, tier: Tier) -> float | None:
        """The median of what was measured in `tier`."""
        readings = self._draws.get(tier)
        return statistics.median(readings) if readings else None

    def of(self, view: JobView, *, can_slow: bool) -> Mapping[Tier, TierCost]:
        """Of the tiers that can be reached; `can_slow` says whether the board's clocks can be lowered.

        A tier that has not been measured is taken to draw no more than a bare board, so that it is tried; offloading
        lets the context stand, and saves what low clocks save.
        """
        costs = {}
        by_clocks_w = self._saves_w(Tier.LOW_CLOCKS) if can_slow else 0.0
        if can_slow:
            seconds = self._seconds.get((Tier.LOW_CLOCKS, None), CLOCKS_SECONDS)
            costs[Tier.LOW_CLOCKS] = TierCost(transition_seconds=seconds, saves_w=by_clocks_w)
        if not view.cannot_offload:
            assumed = 2 * view.memory_used_bytes / COPY_BYTES_PER_S
            seconds = view.offload_seconds or assumed
            costs[Tier.OFFLOAD] = TierCost(transition_seconds=seconds, saves_w=by_clocks_w, frees_memory=True)
        if view.may_leave:
            seconds = self._seconds.get((Tier.CHECKPOINT, view.job), CHECKPOINT_SECONDS)
            saves_w = self._saves_w(Tier.CHECKPOINT)
            costs[Tier.CHECKPOINT] = TierCost(transition_seconds=seconds, saves_w=saves_w, frees_memory=True)
        return costs

    def _saves_w(self, tier: Tier) -> float:
        held_w, draw_w = self.draw_w(Tier.HOLD), self.draw_w(tier)
        held_w = self._curve.parked_w if held_w is None else held_w
        return held_w - (self._curve.idle_w if draw_w is None else draw_w)
