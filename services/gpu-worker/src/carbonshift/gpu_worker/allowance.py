"""What a board may draw at most: falls at once, rises by resume tokens alone. Pure."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from carbonshift.common.events import GridState, Pulse, ResumeToken
from carbonshift.gpu_worker.orders import Cause, Order, Permit

__all__ = ["Allowance", "Verdict", "follow", "judge", "take"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """One board's share of its site's budget, as it stands."""

    parked_w: float
    """Draw while training waits: what is never taken away."""
    floor_w: float
    """The lowest limit the board takes: with less than this nothing runs."""
    watts: float
    wanted_w: float
    """What the order lets the board draw; tokens raise `watts` up to here."""
    permitted: bool = False
    permit: Permit | None = None

    @classmethod
    def at_start(cls, *, parked_w: float, floor_w: float) -> "Allowance":
        """Training waits."""
        parked_w = min(parked_w, floor_w)
        return cls(parked_w=parked_w, floor_w=floor_w, watts=parked_w, wanted_w=parked_w)

    @property
    def running(self) -> bool:
        """Whether training may run."""
        return self.permitted and self.watts >= self.floor_w

    @property
    def wants(self) -> bool:
        """Whether a token would raise it."""
        return self.watts < self.wanted_w

    @property
    def limit_w(self) -> float:
        """The power limit that goes with it; while training waits the lowest, should it ever go on by itself."""
        return max(self.watts, self.floor_w) if self.running else self.floor_w


class Verdict(StrEnum):
    """What to do with a token."""

    TAKE = "take"
    HOLD = "hold"
    """Not yet, and perhaps never: keep it under a heartbeat until it is due, or the state says more."""
    HAND_BACK = "hand-back"
    """No use for it here; somebody else may have one."""
    VOID_RUN = "of another replay"
    VOID_EXPIRED = "expired"
    VOID_EPOCH = "of an epoch that has ended"
    VOID_FORBIDDEN = "neither the state nor a plan lets it run"


def follow(allowance: Allowance, order: Order) -> Allowance:
    """The allowance under `order`: the same or less, never more.

    HOLD keeps it, but for a target. Watts granted under another permit are gone: between the two lay a RED, heard or
    not, or it is another recording. A plan runs through RED: while it has the word what was granted outlives that.
    """
    if order.basis is Cause.HOLD:
        permitted, permit, wanted_w, kept_w = allowance.permitted, allowance.permit, allowance.wanted_w, allowance.watts
    else:
        permitted, permit, wanted_w = order.permitted, order.permit, math.inf
        kept_w = allowance.watts if _outlasts(allowance.permit, order) else allowance.parked_w
    wanted_w = min(wanted_w, order.limit_w)
    if not permitted or wanted_w < allowance.floor_w:  # a target that leaves less than the lowest limit is a pause
        wanted_w = allowance.parked_w
    return replace(allowance, watts=min(kept_w, wanted_w), wanted_w=wanted_w, permitted=permitted, permit=permit)


def _outlasts(permit: Permit | None, order: Order) -> bool:
    """Whether watts granted under `permit` are still there under `order`."""
    if order.basis is Cause.PLAN and permit is not None:
        return permit.run == order.permit.run
    return permit == order.permit


def judge(token: ResumeToken, allowance: Allowance, state: GridState, now: datetime) -> Verdict:
    """What to do at `now`, in event time, under `state` with `token`, which is of this board's site."""
    mine, its = Permit.of(state), Permit.of(token)
    grounds = (
        (its.run != mine.run, Verdict.VOID_RUN),
        (now >= token.expires_at, Verdict.VOID_EXPIRED),
        (its.epoch > mine.epoch, Verdict.HOLD),  # it overtook the state that begins its epoch
        (its.epoch < mine.epoch, Verdict.VOID_EPOCH),
        (state.state is Pulse.UNKNOWN, Verdict.HOLD),  # nothing rises; what comes next may let it
        (not state.run and not allowance.permitted, Verdict.VOID_FORBIDDEN),
        (not allowance.wants, Verdict.HAND_BACK),
        (now < token.not_before, Verdict.HOLD),
    )
    return next((verdict for holds, verdict in grounds if holds), Verdict.TAKE)


def take(allowance: Allowance, token: ResumeToken) -> Allowance:
    """The allowance raised by `token`, which has to be judged TAKE, at most to what is wanted."""
    return replace(allowance, watts=min(allowance.watts + token.watts, allowance.wanted_w))
