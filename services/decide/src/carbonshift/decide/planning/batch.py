"""Many jobs on one kind of board as arrays."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.segments import Hulls

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Batch:
    """`j` jobs over `n` intervals of one length."""

    unit_costs: NDArray[np.float64]
    """Shape (j, n), USD/J."""
    step_seconds: float
    closing_seconds: NDArray[np.float64]
    """Shape (j, n): what an interval offers if the job completes in it; at the deadline less, after it nothing."""
    work_seconds: NDArray[np.float64]
    """Shape (j,)."""
    usd_per_second: NDArray[np.float64]
    """Shape (j,): the value of waiting."""
    running: NDArray[np.bool_]
    """Shape (j,): at the origin."""
    device: Device
    hulls: Hulls
    switches: SwitchCosts

    def take(self, jobs: NDArray[np.intp], until: slice = slice(None)) -> Self:
        """The batch of these jobs, over the first intervals of all."""
        return type(self)(
            unit_costs=self.unit_costs[jobs, until],
            step_seconds=self.step_seconds,
            closing_seconds=self.closing_seconds[jobs, until],
            work_seconds=self.work_seconds[jobs],
            usd_per_second=self.usd_per_second[jobs],
            running=self.running[jobs],
            device=self.device,
            hulls=self.hulls,
            switches=self.switches,
        )

    @property
    def scale_usd(self) -> NDArray[np.float64]:
        """Shape (j,): a cost that none of the sums exceeds by much, for tolerances."""
        watts = max(map(abs, (*self.device.draws_w, self.device.parked_w)))
        seconds = self.work_seconds / max(self.device.speeds)
        scale: NDArray[np.float64] = seconds * (np.abs(self.unit_costs).mean(axis=1) * watts + self.usd_per_second)
        return scale

    @property
    def capacity_seconds(self) -> NDArray[np.float64]:
        """Shape (j, n): the most work that completion in each interval allows; below 0 where none is possible."""
        before = np.arange(self.unit_costs.shape[1]) * self.step_seconds
        resume = np.where(self.running, 0.0, self.switches.resume_seconds)
        seconds = np.where(self.closing_seconds > 0, before + self.closing_seconds - resume[:, None], -1.0)
        most: NDArray[np.float64] = seconds * max(self.device.speeds)
        return most
