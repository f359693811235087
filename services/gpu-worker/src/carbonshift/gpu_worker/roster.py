"""Who has which ranks of a job, whether they are all of it, who leads, who holds it. Pure: the clock is handed in.

Every host says of itself what it has; each judges by what it has heard last of the others.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

__all__ = ["Presence", "Roster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What a host says of the ranks of one job that it has."""

    host: str
    """Of this run of its agent alone."""
    worker: str
    """The name by which people know it."""
    world_size: Annotated[int, Field(ge=1)]
    ranks: tuple[Annotated[int, Field(ge=0)], ...]
    """From the lowest; none where they have left."""
    wants: bool = False
    """Whether it keeps the job from running, or is about to."""
    asks_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """It waits for the job to come to rest, for so long; None where it does not."""
    wish: int = 0
    """Counts the changes of its mind."""


class Roster:
    """The hosts of one job. Those that say another size of it are of another job by the same name."""

    def __init__(self, mine: Presence, lease_seconds: float) -> None:
        self.mine = mine
        """Kept up to date by its owner."""
        self._lease_seconds = lease_seconds
        self._others: dict[str, tuple[Presence, float]] = {}

    def hear(self, presence: Presence, now_seconds: float) -> bool:
        """Note what another host says; whether it was not known before."""
        if presence.host == self.mine.host:
            return False
        if not presence.ranks:
            self._others.pop(presence.host, None)
            return False
        new = presence.host not in self._others
        self._others[presence.host] = presence, now_seconds
        return new

    def forget_silent(self, now_seconds: float) -> None:
        """A host that has said nothing for a lease is no longer counted on."""
        self._others = {
            host: (presence, heard_seconds)
            for host, (presence, heard_seconds) in self._others.items()
            if now_seconds - heard_seconds < self._lease_seconds
        }

    @property
    def hosts(self) -> Mapping[str, Presence]:
        """All of the job that are known, this one too."""
        others = (presence for presence, _ in self._others.values())
        mine = self.mine
        return {one.host: one for one in (mine, *others) if one.world_size == mine.world_size}

    @property
    def problem(self) -> str | None:
        """Why the ranks known are not each rank of the job once; None where they are."""
        size, held = self.mine.world_size, Counter(rank for one in self.hosts.values() for rank in one.ranks)
        if twice := sorted(rank for rank, count in held.items() if count > 1):
            who = sorted(one.worker for one in self.hosts.values() if twice[0] in one.ranks)
            return f"rank {twice[0]} is claimed {held[twice[0]]} times, by {', '.join(who)}"
        if foreign := sorted(rank for rank in held if rank >= size):
            return f"rank {foreign[0]} is none of {size}"
        if missing := [str(rank) for rank in range(size) if rank not in held]:
            return f"of its {size} processes ranks {', '.join(missing)} are not heard of"
        return None

    @property
    def leader(self) -> str | None:
        """The host of rank 0, once all ranks are known."""
        if self.problem:
            return None
        return next(host for host, presence in self.hosts.items() if 0 in presence.ranks)

    @property
    def wanted(self) -> bool:
        """Whether any host keeps the job from running."""
        return any(presence.wants for presence in self.hosts.values())

    @property
    def asked_seconds(self) -> float | None:
        """How long the most patient host that waits for the job to come to rest does so; None where none waits."""
        return max((one.asks_seconds for one in self.hosts.values() if one.asks_seconds is not None), default=None)
