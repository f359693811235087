"""What the work that is left will cost from the next stage on, if all comes as expected: a table over the work.

Dynamic programming backwards over stages and over work in sixths of a stage. In a stage any mix of the board's modes
and of being parked may be chosen, knowing the node that came true, and not the ones of later stages. Nothing is paid
for switching: within a stage it is little, and whoever executes pays for it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.job import Device
from carbonshift.decide.planning.segments import Hulls, hulls_of

__all__ = ["Lookahead", "Table", "lookahead_of"]

Floats = NDArray[np.float64]

PARTS = 6
"""Of a stage at the device's pace: the grid of the table."""
NEARLY_FULL = 0.95
"""Of full speed: the slowest mode from here on sets the pace, what lies above it is left for need."""
LATE_STAGES = 1e3
"""What a part of work that is left at the deadline counts for: so many of the dearest stages at full power."""

SHARED_TABLES = 256
SHARED_POINTS = 256
"""Shared tables are of whole multiples of it: the work of jobs differs, their deadlines often do not."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Cost to go, linear between the points of the grid and beyond its end."""

    usd: Floats
    """Shape (points, jobs), at work 0, `part_seconds`, 2 `part_seconds`, ..."""
    part_seconds: float
    within_seconds: float
    """The most work that the stages have room for at the device's pace."""

    def at(self, work_seconds: Floats) -> Floats:
        """Of work of the shape (jobs,), 0 or more."""
        place = work_seconds / self.part_seconds
        left = np.minimum(place.astype(np.intp), self.usd.shape[0] - 2)
        jobs = np.arange(self.usd.shape[1])
        low, high = self.usd[left, jobs], self.usd[left + 1, jobs]
        value: Floats = low + (place - left) * (high - low)
        return value


class Lookahead:
    """Tables for boards of one kind."""

    def __init__(self, device: Device, stage_seconds: float) -> None:
        hulls = hulls_of(device)
        lower = hulls.edges.speeds[LOWER], hulls.edges.rates[LOWER]
        upper = hulls.edges.speeds[UPPER], hulls.edges.rates[UPPER]
        pace = min(speed for speed in device.speeds if speed >= NEARLY_FULL * max(device.speeds))
        speeds = pace * np.arange(PARTS + 1) / PARTS
        self.part_seconds = pace * stage_seconds / PARTS
        self._stage_seconds = stage_seconds
        self._full_w = float(hulls.edges.rates[UPPER][-1])
        self._lower_j = np.interp(speeds, *lower) * stage_seconds
        self._upper_j = np.interp(speeds, *upper) * stage_seconds
        modes = np.array(device.speeds)
        seconds = speeds[1:, None] * stage_seconds / modes
        self._closing_seconds = seconds
        self._closes = modes >= speeds[1:, None] * (1 - 1e-12)
        self._closing_j = seconds * np.array(device.draws_w)
        self._shared = lru_cache(maxsize=SHARED_TABLES)(self._usd_of_one)

    def table(self, unit_costs: Floats, usd_per_second: Floats, most_work_seconds: float) -> Table:
        """The cost to go of every amount of work up to `most_work_seconds`, and some beyond.

        Args:
            unit_costs: USD/J, shape (jobs, stages, nodes); the deadline is the end of the last stage.
            usd_per_second: shape (jobs,), the value of waiting.
            most_work_seconds: the work of the largest job.
        """
        jobs, stages, _ = unit_costs.shape
        points = int(np.ceil(most_work_seconds / self.part_seconds)) + PARTS + 1
        if jobs == 1:  # asked one by one the jobs of a region look ahead at the same prices
            points = -(-points // SHARED_POINTS) * SHARED_POINTS
            usd = self._shared(unit_costs.tobytes(), unit_costs.shape, float(usd_per_second[0]), points)
        else:
            usd = self._usd(unit_costs, usd_per_second, points)
        return Table(usd, self.part_seconds, stages * PARTS * self.part_seconds)

    def _usd_of_one(self, unit_costs: bytes, shape: tuple[int, int, int], usd_per_second: float, points: int) -> Floats:
        return self._usd(np.frombuffer(unit_costs).reshape(shape), np.array([usd_per_second]), points)

    def _usd(self, unit_costs: Floats, usd_per_second: Floats, points: int) -> Floats:
        """No point depends on those beyond it: a longer table begins as a shorter one does."""
        jobs, stages, nodes = unit_costs.shape
        dearest = np.abs(unit_costs).reshape(jobs, -1).max(axis=1, initial=1e-12)
        late = LATE_STAGES * (dearest * self._full_w + usd_per_second) * self._stage_seconds
        usd = late * np.arange(points)[:, None]
        for stage in range(stages - 1, -1, -1):
            usd = self._before(usd, unit_costs[:, stage], usd_per_second, nodes)
        cost_to_go: Floats = usd
        return cost_to_go

    def _before(self, usd: Floats, unit_costs: Floats, usd_per_second: Floats, nodes: int) -> Floats:
        total, best, other = np.zeros_like(usd), np.empty_like(usd), np.empty_like(usd)
        waiting = usd_per_second * self._stage_seconds
        for node in range(nodes):
            cost = unit_costs[:, node]
            used = np.where(cost >= 0, cost * self._lower_j[:, None], cost * self._upper_j[:, None]) + waiting
            closing = self._closing(cost, usd_per_second)
            np.add(used[0], usd, out=best)
            for part in range(1, PARTS + 1):
                np.add(used[part], usd[1:-part], out=other[part + 1 :])
                np.minimum(best[part + 1 :], other[part + 1 :], out=best[part + 1 :])
                np.minimum(best[part], closing[part - 1], out=best[part])
            best[0] = 0.0
            total += best
        total /= nodes
        return total

    def _closing(self, unit_costs: Floats, usd_per_second: Floats) -> Floats:
        """Shape (PARTS, jobs): to do so many parts and be done."""
        costs = unit_costs * self._closing_j[:, :, None] + usd_per_second * self._closing_seconds[:, :, None]
        closing: Floats = np.where(self._closes[:, :, None], costs, np.inf).min(axis=1)
        return closing


LOWER, UPPER = Hulls.row(with_parked=np.array((True, True)), unit_costs=np.array((1.0, -1.0)))


@lru_cache(maxsize=64)
def lookahead_of(device: Device, stage_seconds: float) -> Lookahead:
    """The lookahead of a board; it is the same for every job and every interval."""
    return Lookahead(device, stage_seconds)
