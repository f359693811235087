"""How deep to park a training that waits: by how long it is expected to, against what each tier costs. Pure."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Tier", "TierCost", "break_even_seconds", "gain_j", "tier_for"]


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


def gain_j(cost: TierCost, wait_seconds: float, running_w: float) -> float:
    """What a tier saves in a wait, against HOLD: a transition is time lost, to be made up for at `running_w`.

    Args:
        cost: of the tier.
        wait_seconds: as long as it is expected to be.
        running_w: what the board draws while the training runs.
    """
    return cost.saves_w * wait_seconds - cost.transition_seconds * running_w


def break_even_seconds(cost: TierCost, running_w: float, freeing_share: float) -> float:
    """The shortest wait that a tier is worth, against HOLD; infinite where no wait is.

    What freed memory is worth only its owner knows: it is worth `freeing_share`, above 0, of a wait.
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
    """The tier that saves most of those that are worth the wait, the deeper of two that save as much.

    Those that free memory go before the others: whoever allows one wants that. Where none is worth it, the shallowest
    that is allowed; HOLD where none can be reached. A wait of unknown length is taken to last as long again as it has
    lasted: with one tier beside HOLD what is spent is then at most twice what the best choice would have spent. Source:
    the ski rental of Karlin, Manasse, Rudolph and Sleator (1988), Competitive snoopy caching.

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
    freeing = [
        tier
        for tier in worth
        if costs[tier].frees_memory and costs[tier].transition_seconds <= freeing_share * wait_seconds
    ]
    candidates = freeing or worth or reachable[:1]
    gains_j = {tier: gain_j(costs[tier], wait_seconds, running_w) if tier in costs else 0.0 for tier in candidates}
    return max(candidates, key=lambda tier: (gains_j[tier], tier.depth))
