"""What the targets on a site leave to each of its boards: a share by what the board could come to draw. Pure.

A target is an order of the real world, so it starts and ends on the wall clock, whatever time a replay shows.
"""

import math
from datetime import datetime

from carbonshift.common.events import PowerTarget

__all__ = ["SILENT_BOARD_SECONDS", "SiteLimit"]

SILENT_BOARD_SECONDS = 60.0
"""A board unheard of for so long no longer counts; decide forgets it then too."""


class SiteLimit:
    """The targets of one site, and the ceilings of its other boards, which are heard at monotonic seconds."""

    def __init__(self) -> None:
        self._targets: dict[str, PowerTarget] = {}
        self._ceilings: dict[tuple[str, str], tuple[float, float]] = {}

    def ask(self, target: PowerTarget, now: datetime) -> None:
        """Keep `target` until it ends."""
        self._targets = {name: kept for name, kept in self._targets.items() if now < kept.end}
        if now < target.end:
            self._targets[target.id] = target

    def hear(self, board: tuple[str, str], ceiling_w: float, at_seconds: float) -> bool:
        """Note what another board, (worker, device), could come to draw; whether that is news."""
        before = self._ceilings.get(board)
        self._ceilings[board] = (at_seconds, ceiling_w)
        return before is None or before[1] != ceiling_w

    def share_w(self, own_ceiling_w: float, now: datetime, at_seconds: float) -> float:
        """What the lowest target in force leaves to a board that could come to draw `own_ceiling_w`; else infinite."""
        limit_w = min((target.limit_w for target in self._targets.values() if _in_force(target, now)), default=math.inf)
        if math.isinf(limit_w):
            return limit_w
        since = at_seconds - SILENT_BOARD_SECONDS
        self._ceilings = {board: heard for board, heard in self._ceilings.items() if heard[0] >= since}
        others_w = sum(ceiling_w for _, ceiling_w in self._ceilings.values())
        return limit_w * own_ceiling_w / (own_ceiling_w + others_w) if own_ceiling_w > 0 else 0.0

    def next_turn(self, now: datetime) -> datetime | None:
        """The first moment after `now` at which a target starts or ends."""
        moments = (moment for target in self._targets.values() for moment in (target.start, target.end))
        return min((moment for moment in moments if moment > now), default=None)


def _in_force(target: PowerTarget, now: datetime) -> bool:
    return target.start <= now < target.end
