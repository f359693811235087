"""What a policy is: the judgement on one tick. A policy of your own is one class in one file."""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import GridState, GridTick, Pulse
from carbonshift.decide.history import History
from carbonshift.decide.norm import Spread
from carbonshift.decide.planning.choice import Situation
from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.seasonal import Clock
from carbonshift.decide.settings import DecideSettings

__all__ = ["JobPolicy", "Policy", "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a policy makes of one tick."""

    state: Pulse
    reasons: tuple[str, ...]
    """Stable codes, the weightiest first."""
    score: float | None = None
    price_norm: float | None = None
    carbon_norm: float | None = None
    price_spread: Spread | None = None
    carbon_spread: Spread | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    """The limits it was made with, by their settings' names; they go out with a transition."""
    power_limit_w: float | None = None
    """Setpoint for the reference board; None = the one the settings give the state."""


class Policy(Protocol):
    """Judges ticks. Pure: no clock, no I/O, no memory of its own, so that a replay and a restart judge alike."""

    name: ClassVar[str]

    def __init__(self, settings: DecideSettings) -> None:
        """Take what it needs from the settings."""

    def judge(self, history: History, tick: GridTick, previous: GridState | None) -> Verdict:
        """The verdict on `tick`.

        Args:
            history: the trailing window of the region, `tick` included as its newest entry.
            tick: the interval to judge.
            previous: the state of the interval before; None at a region's first.
        """


@runtime_checkable
class JobPolicy(Policy, Protocol):
    """A policy that also plans the jobs that have a deadline."""

    def choose(self, situation: Situation, device: Device, switches: SwitchCosts, clock: Clock) -> NDArray[np.intp]:
        """What each job does in the present interval.

        Args:
            situation: the jobs, with what the interval and the stages after it cost.
            device: their boards.
            switches: what pausing and resuming take.
            clock: intervals and stages.

        Returns: shape (jobs,): a mode of the device, or -1 to be parked.
        """
