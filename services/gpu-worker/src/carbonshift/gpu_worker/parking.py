"""How deep to park a training that waits: by how long it is expected to, against what each tier costs. Pure."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Tier", "TierCost", "break_even_seconds", "tier_for"]


class Tier(StrEnum):
    """From the shallowest to the deepest; OFFLOAD keeps the clocks as low as LOW_CLOCKS where they can be."""

    HOLD = "hold"
    """The model stays on the board, and nothing else changes."""
    LOW_CLOCKS = "low-clocks"
    """So it does, and the board's clocks are locked at their lowest."""
    OFFLOAD = "offload"
    """The model is in host memory; the context stays on the board."""
    CHECKPOINT = "checkpoint"
    """The training has saved and ended, and is begun again."""

    @property
    def depth(self) -> int:
        """0 is the shallowest."""
        return list(Tier).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierCost:
    """What a tier takes and gives, measured where it has been, else assumed."""

    transition_seconds: float
    """Down into it and up again."""
    saves_w: float = 0.0
    """What the board draws less than in HOLD."""
    frees_memory: bool = False


def break_even_seconds(cost: TierCost, running_w: float, freeing_share: float) -> float:
    """The shortest wait that a tier is worth; infinite where no wait is.

    A transition is time lost: it has to be made up for at `running_w`. Saving energy pays for that once what was saved
    exceeds it. What freed memory is worth only its owner knows: it is worth `freeing_share` of a wait.

    Args:
        cost: of the tier.
        running_w: what the board draws while the training runs.
        freeing_share: of a wait, above 0: how much of it may go into freeing memory.
    """
    by_energy = cost.transition_seconds * running_w / cost.saves_w if cost.saves_w > 0 else math.inf
    by_memory = cost.transition_seconds / freeing_share if cost.frees_memory else math.inf
    return min(by_energy, by_memory)


def tier_for(
    costs: Mapping[Tier, TierCost],
    allowed: Collection[Tier],
    *,
    expected_seconds: float | None,
    waited_seconds: float,
    running_w: float,
    freeing_share: float,
) -> Tier:
    """The deepest tier that is worth the wait; where none is the shallowest allowed one, and HOLD where none can be.

    A wait of unknown length is taken to last as long again as it has lasted: whatever its end, what was spent is then
    at most twice what the best choice would have spent. Source: the ski rental of Karlin, Manasse, Rudolph and Sleator
    (1988), Competitive snoopy caching.

    Args:
        costs: of the tiers that this board and this training can reach; HOLD costs nothing.
        allowed: by the operator.
        expected_seconds: from now until it goes on; None where nobody knows.
        waited_seconds: since it was paused.
        running_w: as above.
        freeing_share: as above.
    """
    reachable = sorted((tier for tier in allowed if tier is Tier.HOLD or tier in costs), key=lambda tier: tier.depth)
    if not reachable:
        return Tier.HOLD
    wait_seconds = waited_seconds if expected_seconds is None else expected_seconds
    worth = [
        tier
        for tier in reachable
        if tier in costs and break_even_seconds(costs[tier], running_w, freeing_share) <= wait_seconds
    ]
    return worth[-1] if worth else reachable[0]
