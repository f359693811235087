"""A plan for each job with a deadline, by what its region expects; Eco-Pulse for everything else."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.choice import Situation, choose_modes
from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.seasonal import Clock
from carbonshift.decide.policies.eco_pulse import EcoPulse

__all__ = ["Planner"]


class Planner(EcoPulse):
    """The state of the grid is Eco-Pulse's; jobs with a deadline are told their mode interval by interval."""

    name: ClassVar[str] = "planner"

    def choose(self, situation: Situation, device: Device, switches: SwitchCosts, clock: Clock) -> NDArray[np.intp]:
        """The mode of each job in the present interval; see `choose_modes`."""
        return choose_modes(
            situation, device, switches, float(clock.step_seconds), float(clock.stage * clock.step_seconds)
        )
