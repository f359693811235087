"""What completion in each interval costs at the least if every second of work earns a multiplier.

For a job that completes in interval k let f_k be the least cost, and for a multiplier m in USD per second of work

    D_k(m) = m * work + the least of (cost - m * work done) over all that the board can do until it completes in k.

D_k is a lower bound of f_k for every m (Lagrange), concave in m, and `work - work done` is a slope of it there. To find
the least, each interval is looked at by itself without switch costs; with them the best path through running and parked
is found by dynamic programming. One pass over the intervals gives D_k for every k at once: completion in k ends a path
whose beginning is the same for all later k.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.batch import Batch

__all__ = ["Relaxation", "Relaxed", "path_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    """The relaxed problem at one multiplier for each job; shapes (n, j) where n is the interval of completion."""

    bounds_usd: Floats
    surplus_seconds: Floats
    """Work less work done: the slope of `bounds_usd` in the multiplier."""
    closes_running: NDArray[np.bool_]
    """Whether the interval of completion begins running; empty, as `stays`, where switches are free."""
    stays: NDArray[np.bool_]
    """Shape (n, 2, j): whether the best path that ends an interval running, or parked, began it so."""


class Relaxation:
    """The relaxed problem of a batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._costs = np.ascontiguousarray(batch.unit_costs.T)
        self._closing = np.ascontiguousarray(batch.closing_seconds.T)
        device = batch.device
        self._modes = sorted(zip(device.speeds, device.draws_w, strict=True))
        self._draws = [self._costs * draw_w for _, draw_w in self._modes]
        self._parked = self._costs * device.parked_w
        self._waited = np.arange(self._costs.shape[0])[:, None] * (batch.step_seconds * batch.usd_per_second)

    def take(self, jobs: NDArray[np.intp]) -> Self:
        """The relaxation for these jobs."""
        return type(self)(self.batch.take(jobs))

    def at(self, multipliers: Floats) -> Relaxed:
        """Bounds for every interval of completion.

        Args:
            multipliers: shape (j,), USD per second of work, one for each job.
        """
        if self.batch.switches.free:
            return self._without_switches(multipliers, *self._best_mode(multipliers, self._parked))
        rate, speed = self._best_mode(multipliers, np.full_like(self._costs, np.inf))
        return self._with_switches(multipliers, rate, speed)

    def _best_mode(self, multipliers: Floats, otherwise: Floats) -> tuple[Floats, Floats]:
        """USD/s of the mode that is best in each interval, less what its work earns, and its speed.

        `otherwise` is the rate of doing no work.
        """
        rate = otherwise.copy()
        winner = np.zeros(rate.shape, dtype=np.uint8)
        for number, ((speed, _), draw) in enumerate(zip(self._modes, self._draws, strict=True), start=1):
            this = draw - multipliers * speed
            np.maximum(winner, np.uint8(number) * (this < rate), out=winner)  # the last to win is the best
            np.minimum(rate, this, out=rate)
        return rate, np.array((0.0, *(speed for speed, _ in self._modes))).take(winner)

    def _until(self, seconds: Floats, rate: Floats, speed: Floats) -> tuple[Floats, Floats]:
        """Cost and work of an interval of completion of which `seconds` can be used, or less."""
        rate = rate + self.batch.usd_per_second
        used = seconds * (rate < 0)
        return used * rate, used * speed

    def _without_switches(self, multipliers: Floats, rate: Floats, speed: Floats) -> Relaxed:
        step = self.batch.step_seconds
        cost, work = self._until(self._closing, rate, speed)
        cost[1:] += np.cumsum(rate[:-1], axis=0) * step
        work[1:] += np.cumsum(speed[:-1], axis=0) * step
        nowhere = np.empty((0, 0), dtype=np.bool_)
        return self._bounds(multipliers, cost, work, (nowhere, nowhere))

    def _with_switches(
        self,
        multipliers: Floats,
        running_rate: Floats,
        running_speed: Floats,
    ) -> Relaxed:
        mixed_rate = np.minimum(self._parked, running_rate)
        mixed_speed = running_speed * (running_rate < self._parked)
        step, switches = self.batch.step_seconds, self.batch.switches
        resume, pause = switches.resume_seconds, switches.pause_seconds
        switch_rate = self._costs * self.batch.device.switch_w
        intervals, jobs = self._costs.shape
        shape = (intervals, 2, 2, jobs)  # cost and work; at the end of an interval running, parked
        stay, move, reached = np.empty(shape), np.empty(shape), np.zeros(shape)
        np.multiply(running_rate, step, out=stay[:, 0, 0])
        np.multiply(self._parked, step, out=stay[:, 0, 1])
        np.multiply(running_speed, step, out=stay[:, 1, 0])
        stay[:, 1, 1] = 0.0
        for end, switch in enumerate((resume, pause)):
            np.multiply(mixed_rate, step - switch, out=move[:, 0, end])
            move[:, 0, end] += switch * switch_rate
            np.multiply(mixed_speed, step - switch, out=move[:, 1, end])

        reached[0, 0] = np.where(self.batch.running, [[0.0], [np.inf]], [[np.inf], [0.0]])
        stays, stayed = np.zeros((intervals, 2, jobs), dtype=np.bool_), np.empty(shape[1:])
        for i in range(intervals - 1):
            here, there = reached[i], reached[i + 1]
            np.add(here, stay[i], out=stayed)
            np.add(here[:, ::-1], move[i], out=there)
            np.less_equal(stayed[0], there[0], out=stays[i])
            np.copyto(there, stayed, where=stays[i])
        costs, works = reached[:, 0], reached[:, 1]

        cost_on, work_on = self._until(self._closing, running_rate, running_speed)
        cost_off, work_off = self._until(np.maximum(self._closing - resume, 0.0), mixed_rate, mixed_speed)
        cost_off += resume * (switch_rate + self.batch.usd_per_second)
        cost_off[self._closing < resume] = np.inf
        cost_on += costs[:, 0]
        cost_off += costs[:, 1]
        closes_running = cost_on <= cost_off
        cost = np.minimum(cost_on, cost_off)
        work_on += works[:, 0]
        work_off += works[:, 1]
        work = work_off + closes_running * (work_on - work_off)
        return self._bounds(multipliers, cost, work, (closes_running, stays))

    def _bounds(
        self,
        multipliers: Floats,
        cost: Floats,
        work: Floats,
        path: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ) -> Relaxed:
        cost += self._waited
        cost += multipliers * self.batch.work_seconds
        return Relaxed(cost, np.subtract(self.batch.work_seconds, work, out=work), *path)


def path_of(relaxed: Relaxed, closing: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Shape (j, n): whether each interval up to `closing` begins running, on the best path to completion in it."""
    intervals, jobs = relaxed.closes_running.shape
    starts = np.empty((intervals, jobs), dtype=np.bool_)
    starts[-1] = last = relaxed.closes_running[closing, np.arange(jobs)]
    for i in range(intervals - 2, -1, -1):
        before = np.where(starts[i + 1], relaxed.stays[i, 0], ~relaxed.stays[i, 1])
        starts[i] = np.where(closing > i, before, last)
    return np.ascontiguousarray(starts.T)
