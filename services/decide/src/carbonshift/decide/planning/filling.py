"""The least cost once the interval of completion and every switch are settled: greedy over the edges, exact.

What is left is how much work each interval does. Its cost is convex in that and linear along each edge. So the
cheapest edges of all intervals together, taken until the work is done, are an optimum of the linear program: to take
an edge that was left for a dearer one that was taken would lower the cost, and an envelope has its edges in the right
order.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.batch import Batch
from carbonshift.decide.planning.job import Device
from carbonshift.decide.planning.segments import OFF, PARKED, Edges, closing_edges

__all__ = ["ROUNDING", "Filled", "fill", "run_through"]

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""Share of the work by which a path may seem unable to do it. A deadline as near leaves full power only."""
LAST_WORK = 1e-8
"""Share of the work kept for the very end where waiting, parked, for completion pays; of a day's work a millisecond."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Filled:
    """The work of each interval, and how it is done; shapes (j, n, ...)."""

    feasible: NDArray[np.bool_]
    """Shape (j,): whether the path can do exactly the work."""
    cost_usd: Floats
    """Shape (j,): waiting included, infinite where not feasible."""
    least_usd: Floats
    """Shape (j,): `cost_usd`, did the last work take no time; no schedule on this path costs less."""
    seconds: Floats
    """Shape (j, n, modes + 1): parked, then each mode."""
    switch_seconds: Floats
    starts_running: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp]) -> Self:
        """These rows."""
        return replace(
            self,
            feasible=self.feasible[rows],
            cost_usd=self.cost_usd[rows],
            least_usd=self.least_usd[rows],
            seconds=self.seconds[rows],
            switch_seconds=self.switch_seconds[rows],
            starts_running=self.starts_running[rows],
        )

    @property
    def arrays(self) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Those with a value for each interval."""
        return self.seconds, self.switch_seconds, self.starts_running

    def energy_j(self, device: Device) -> Floats:
        """Shape (j, n)."""
        energy: Floats = self.seconds @ np.array((device.parked_w, *device.draws_w))
        return energy + self.switch_seconds * device.switch_w


def fill(batch: Batch, closing: NDArray[np.intp], starts: NDArray[np.bool_] | None) -> Filled:
    """The cheapest way to do the work of each job.

    Args:
        batch: the jobs.
        closing: shape (j,), the interval of completion of each.
        starts: shape (j, n), whether each interval up to it begins running; None where switches are free.
    """
    jobs = np.arange(closing.size)
    columns = np.arange(batch.unit_costs.shape[1])
    before, at = columns < closing[:, None], columns == closing[:, None]
    usable, switch, with_parked, rests = _roles(batch, before, at, starts)
    closing_parks = with_parked[jobs, closing]
    last = closing_edges(batch.device, batch.unit_costs[jobs, closing], batch.usd_per_second, closing_parks)
    rows = batch.hulls.row(with_parked=with_parked, unit_costs=batch.unit_costs)
    rows[rests | ~(before | at)] = batch.hulls.PARKED_ONLY
    return _Filling(batch, closing, rows, last, usable, switch, starts).best()


def _roles(
    batch: Batch, before: NDArray[np.bool_], at: NDArray[np.bool_], starts: NDArray[np.bool_] | None
) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Usable and switching seconds of each interval, whether it may be parked in part, whether it is as a whole."""
    if starts is None:
        usable = np.where(before, batch.step_seconds, np.where(at, batch.closing_seconds, 0.0))
        return usable, np.zeros_like(usable), np.ones_like(before), np.zeros_like(before)
    ends = np.roll(starts, -1, axis=1)
    resumes = ~starts & ((before & ends) | at)
    pauses = starts & before & ~ends
    switch = batch.switches.resume_seconds * resumes + batch.switches.pause_seconds * pauses
    usable = np.where(before, batch.step_seconds, np.where(at, batch.closing_seconds, 0.0)) - switch
    return usable, switch, resumes | pauses, before & ~starts & ~ends


def run_through(batch: Batch) -> Filled:
    """Full power from the origin until all is done, or the intervals end: what is left when time is short.

    Of equally fast modes that with the lowest draw, where drawing is paid for the highest.
    """
    device, step = batch.device, batch.step_seconds
    begin = np.where(batch.running, 0.0, batch.switches.resume_seconds)[:, None]
    end = begin + (batch.work_seconds / device.speeds[device.full])[:, None]
    starts = np.arange(batch.unit_costs.shape[1]) * step
    switch = np.clip(np.where(end > begin, begin, 0.0) - starts, 0.0, step)
    rows = batch.hulls.row(with_parked=np.ones_like(batch.unit_costs, dtype=np.bool_), unit_costs=batch.unit_costs)
    seconds = np.zeros((*batch.unit_costs.shape, len(device.speeds) + 1))
    full = np.clip(end - starts, 0.0, step) - np.clip(begin - starts, 0.0, step)
    np.put_along_axis(seconds, batch.hulls.edges.ways[rows, -1:], full[..., None], axis=2)
    filled = Filled(
        feasible=np.ones(len(end), dtype=np.bool_),
        cost_usd=np.zeros(len(end)),
        least_usd=np.zeros(len(end)),
        seconds=seconds,
        switch_seconds=switch,
        starts_running=batch.running[:, None] | (starts > 0),
    )
    cost = (filled.energy_j(device) * batch.unit_costs).sum(axis=1)
    cost += np.where(end > begin, end, 0.0)[:, 0] * batch.usd_per_second
    return replace(filled, cost_usd=cost, least_usd=cost.copy())


class _Filling:
    def __init__(
        self,
        batch: Batch,
        closing: NDArray[np.intp],
        rows: NDArray[np.intp],
        last: Edges,
        usable: Floats,
        switch: Floats,
        starts: NDArray[np.bool_] | None,
    ) -> None:
        self.batch, self.closing, self.rows, self.last = batch, closing, rows, last
        self.usable, self.switch, self.starts = usable, switch, starts
        self.jobs = np.arange(closing.size)

    def best(self) -> Filled:
        edges = self.batch.hulls.edges
        caps = self.usable[..., None] * edges.widths[self.rows]
        caps[self.jobs, self.closing] = self.usable[self.jobs, self.closing][:, None] * self.last.widths
        slopes = self.batch.unit_costs[..., None] * self.batch.hulls.slopes[self.rows]
        slopes[self.jobs, self.closing] = np.maximum.accumulate(self.last.slopes, axis=1)
        base = self.usable * edges.speeds[self.rows, 0]
        base[self.jobs, self.closing] = self.usable[self.jobs, self.closing] * self.last.speeds[:, 0]
        missing = self.batch.work_seconds - base.sum(axis=1)
        taken = _cheapest(slopes, caps, missing)
        dearer = self._keep_some_for_the_end(taken, caps, slopes)
        able = caps.sum(axis=(1, 2))
        tolerance = ROUNDING * self.batch.work_seconds
        feasible = (missing >= -tolerance) & (missing <= able + tolerance) & (self.usable >= 0).all(axis=1)
        seconds = self._seconds(taken, caps)
        filled = Filled(
            feasible=feasible,
            cost_usd=np.zeros(self.jobs.size),
            least_usd=np.zeros(self.jobs.size),
            seconds=seconds,
            switch_seconds=self.switch,
            starts_running=seconds[..., PARKED] <= 0.0 if self.starts is None else self.starts,
        )
        cost = (filled.energy_j(self.batch.device) * self.batch.unit_costs).sum(axis=1)
        until = self.closing * self.batch.step_seconds + seconds[self.jobs, self.closing].sum(axis=1)
        until += self.switch[self.jobs, self.closing]
        cost += until * self.batch.usd_per_second
        cost = np.where(feasible, cost, np.inf)
        return replace(filled, cost_usd=cost, least_usd=cost - dearer)

    def _keep_some_for_the_end(self, taken: Floats, caps: Floats, slopes: Floats) -> Floats:
        """Move a little work into the last interval that draws, where there is none. Returns: what that costs."""
        dearer = np.zeros(self.jobs.size)
        at_end = self.usable[self.jobs, self.closing]
        work = taken.sum(axis=2)
        idle = (self.last.ways[:, 0] == PARKED) | (self.switch[self.jobs, self.closing] > 0)
        last = np.where((work[self.jobs, self.closing] > 0) | (idle & (at_end > 0)), self.closing, self.closing - 1)
        base = self.batch.hulls.edges.speeds[self.rows[self.jobs, last], 0]
        empty = (last >= 0) & (work[self.jobs, last] <= 0) & ((base <= 0) | (last == self.closing))
        for job in np.flatnonzero(empty & (work.max(axis=1) > 0)):
            giver, taker = int(np.argmax(work[job])), int(last[job])
            edge = int(np.flatnonzero(taken[job, giver])[-1])
            first = np.flatnonzero(caps[job, taker])
            if first.size:
                moved = min(
                    LAST_WORK * self.batch.work_seconds[job],
                    float(taken[job, giver, edge]),
                    float(caps[job, taker, first[0]]),
                )
                taken[job, giver, edge] -= moved
                taken[job, taker, first[0]] += moved
                dearer[job] = moved * (slopes[job, taker, first[0]] - slopes[job, giver, edge])
        return dearer

    def _seconds(self, taken: Floats, caps: Floats) -> Floats:
        """From work along the edges to seconds at the vertices, and from those to seconds in each mode."""
        shares = np.divide(taken, caps, out=np.zeros_like(taken), where=caps > 0)
        at_vertices = np.empty((*self.usable.shape, shares.shape[2] + 1))
        at_vertices[..., 0] = self.usable * (1.0 - shares[..., 0])
        at_vertices[..., 1:-1] = self.usable[..., None] * (shares[..., :-1] - shares[..., 1:])
        at_vertices[..., -1] = self.usable * shares[..., -1]
        at_end = at_vertices[self.jobs, self.closing]
        seconds, numbers = at_vertices, np.arange(at_vertices.shape[2])
        for row, ways in enumerate(self.batch.hulls.edges.ways):
            reached = np.append(True, self.batch.hulls.edges.widths[row] > 0)
            if (reached & (ways != numbers)).any():
                here = self.rows == row
                seconds[here] = at_vertices[here] @ np.eye(numbers.size)[ways]
        seconds[self.jobs, self.closing] = 0.0
        for vertex, way in enumerate(self.last.ways.T):
            known = way != OFF
            seconds[self.jobs[known], self.closing[known], way[known]] += at_end[known, vertex]
        return seconds


def _cheapest(slopes: Floats, caps: Floats, missing: Floats) -> Floats:
    """What is taken of each edge, the cheapest first and of equals the earliest, to make up `missing`."""
    shape = slopes.shape
    flat = slopes.reshape(shape[0], -1)
    order = np.argsort(flat, axis=1, kind="stable")
    offered = np.take_along_axis(caps.reshape(flat.shape), order, axis=1)
    short = missing[:, None] - (np.cumsum(offered, axis=1) - offered)
    taken = np.empty_like(flat)
    np.put_along_axis(taken, order, np.clip(short, 0.0, offered), axis=1)
    return taken.reshape(shape)
