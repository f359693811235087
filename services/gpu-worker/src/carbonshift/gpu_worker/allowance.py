"""What a board may draw at most: falls at once, rises by resume tokens alone. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from carbonshift.common.events import GridState, Pulse, ResumeToken

__all__ = ["Allowance", "Permit", "Verdict", "follow", "judge", "take"]


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
class Allowance:
    """One board's share of its site's budget, as it stands."""

    parked_w: float
    """Draw while training waits: what is never taken away."""
    floor_w: float
    """The lowest limit the board takes: with less than this nothing runs."""
    watts: float
    wanted_w: float
    """What the state lets the board draw; tokens raise `watts` up to here."""
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
    VOID_FORBIDDEN = "the state forbids running"


def follow(allowance: Allowance, state: GridState, setpoint_w: float, *, job: bool) -> Allowance:
    """The allowance under `state`: the same or less, never more.

    UNKNOWN holds: nothing rises, nothing falls. Watts granted under another permit are gone: between the two lay a RED,
    heard or not, or it is another recording. Without a job there is nothing to allow.
    """
    if state.state is Pulse.UNKNOWN and job:
        return allowance
    permit = Permit.of(state)
    permitted = state.run and job and state.state is not Pulse.UNKNOWN
    wanted_w = max(setpoint_w, allowance.floor_w) if permitted else allowance.parked_w
    kept_w = allowance.watts if permitted and permit == allowance.permit else allowance.parked_w
    return replace(allowance, watts=min(kept_w, wanted_w), wanted_w=wanted_w, permitted=permitted, permit=permit)


def judge(token: ResumeToken, allowance: Allowance, state: GridState, now: datetime) -> Verdict:
    """What to do at `now`, in event time, under `state` with `token`, which is of this board's site."""
    mine, its = Permit.of(state), Permit.of(token)
    grounds = (
        (its.run != mine.run, Verdict.VOID_RUN),
        (now >= token.expires_at, Verdict.VOID_EXPIRED),
        (its.epoch > mine.epoch, Verdict.HOLD),  # it overtook the state that begins its epoch
        (its.epoch < mine.epoch, Verdict.VOID_EPOCH),
        (state.state is Pulse.UNKNOWN, Verdict.HOLD),  # nothing rises; what comes next may let it
        (not state.run, Verdict.VOID_FORBIDDEN),
        (not allowance.wants, Verdict.HAND_BACK),
        (now < token.not_before, Verdict.HOLD),
    )
    return next((verdict for holds, verdict in grounds if holds), Verdict.TAKE)


def take(allowance: Allowance, token: ResumeToken) -> Allowance:
    """The allowance raised by `token`, which has to be judged TAKE, at most to what is wanted."""
    return replace(allowance, watts=min(allowance.watts + token.watts, allowance.wanted_w))
