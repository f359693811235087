"""What a board is told to do, by whoever has the last word: a target, else UNKNOWN's hold, else a plan, else the state.

Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from carbonshift.common.events import GridState, ResumeToken
from carbonshift.gpu_worker.setpoint import BoardRange, Meaning, fraction_w, setpoint_w

__all__ = ["Cause", "Mode", "Order", "Permit", "lets_run", "order"]

Mode = Literal["paused"] | float
"""One step of a plan: paused, or the power fraction to run at."""


class Cause(StrEnum):
    """Who has the last word, highest first."""

    TARGET = "target"
    FALLBACK = "fallback"
    HOLD = "hold"
    PLAN = "plan"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The stretch of permission to run that granted watts belong to: with it they end."""

    run: str | None
    """The replay; None = today's grid."""
    epoch: int

    @classmethod
    def of(cls, event: GridState | ResumeToken) -> "Permit":
        """The stretch that `event` speaks of."""
        return cls(run=event.replay.run if event.replay else None, epoch=event.epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one board may do as it stands."""

    basis: Cause
    """Who has the word but for targets: HOLD leaves all as it is."""
    permit: Permit
    permitted: bool
    """Whether the state or a plan lets training run; of no meaning under HOLD."""
    wished_w: float
    """The power limit they wish for while it runs; infinite under HOLD."""
    share_w: float = math.inf
    """What the lowest target in force leaves to this board; infinite without one."""
    fallback_w: float = math.inf
    """What is left of it once a hold has lasted too long; infinite where that is all."""

    @property
    def limit_w(self) -> float:
        """What the board may come to: a target lowers, and never raises."""
        return min(self.wished_w, self.share_w, self.fallback_w)

    @property
    def cause(self) -> Cause:
        """Whose word it is."""
        if self.share_w < min(self.wished_w, self.fallback_w):
            return Cause.TARGET
        return Cause.FALLBACK if self.fallback_w < self.wished_w else self.basis


def lets_run(state: GridState, mode: Mode | None) -> bool:
    """Whether a job may run: as its plan has it, else as the state."""
    return state.run if mode is None else mode != "paused"


def order(
    state: GridState,
    modes: Sequence[Mode | None],
    *,
    held: bool,
    board: BoardRange,
    ceiling_w: float,
    meaning: Meaning = "range",
    share_w: float = math.inf,
    fallback_w: float = math.inf,
) -> Order:
    """The order of one board.

    Args:
        state: the one in force.
        modes: for each job here what its plan says now; None = it has no plan in force.
        held: the state is UNKNOWN, or its lease has run out: nothing rises, nothing falls. Without a job there is
            nothing to hold.
        board: its range.
        ceiling_w: the limit found before the first cap, or a higher one where it may be raised.
        meaning: what the state's setpoint is on this board; a plan's modes are shares of its own range.
        share_w: what the lowest target in force leaves to this board.
        fallback_w: what is left to it where a hold has lasted too long.
    """
    permit = Permit.of(state)
    if not modes:
        return Order(basis=Cause.STATE, permit=permit, permitted=False, wished_w=board.min_limit_w)
    if held:
        return Order(
            basis=Cause.HOLD, permit=permit, permitted=False, wished_w=math.inf, share_w=share_w, fallback_w=fallback_w
        )
    wishes = [_planned(mode, board, ceiling_w) for mode in modes if mode is not None]
    if len(wishes) < len(modes):
        told_w = setpoint_w(state.power_limit_w, state.power_fraction, meaning, board, ceiling_w)
        wishes.append((state.run, told_w, Cause.STATE))
    permitted, wished_w, basis = max(wishes)  # one board: the job that wants most
    return Order(basis=basis, permit=permit, permitted=permitted, wished_w=wished_w, share_w=share_w)


def _planned(mode: Mode, board: BoardRange, ceiling_w: float) -> tuple[bool, float, Cause]:
    """Whether to run, under which limit, and by whose word."""
    fraction = 0.0 if mode == "paused" else mode
    return mode != "paused", fraction_w(fraction, board, ceiling_w), Cause.PLAN
