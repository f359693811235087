"""Which interval of completion is cheapest, proved by a bound for every other one.

The least cost f_k of completion in interval k is no convex function of k: the parked draw and waiting last until then,
so a cheap night may be worth the way to it or not. So every k has its own bracket of multipliers on both sides of the
best bound D_k (see `relaxation`); each trial multiplier narrows the brackets of all k at once, as it gives all D_k. The
next trial is the crossing of the two tangents of the most promising k. Where its bracket has closed, its best path is
filled, which gives a schedule, and k is settled. It ends when no unsettled k has a bound below the best schedule.

Without switch costs f_k = max D_k (a linear program), and filling attains it: the schedule is an optimum. With them a
gap may stay between the bound and the schedule; it is part of the answer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.batch import Batch
from carbonshift.decide.planning.filling import ROUNDING, Filled, fill, run_through
from carbonshift.decide.planning.neighbours import Candidates, beside, between
from carbonshift.decide.planning.relaxation import Relaxation, path_of

__all__ = ["Found", "search"]

Floats = NDArray[np.float64]

EXACT = 1e-11
"""Difference, as a share of the cost of the job at full power, that counts as none."""
CLOSE_ENOUGH = 1e-4
"""With switch costs: gap, as such a share, at which the search is content."""
BRACKET = 1e-5
"""How far a bound may still rise, as such a share, when the path to its interval of completion is filled."""
BRACKET_OF_FREE = 1e-4
"""The same where switches are free: there filling says what the bound would become."""
NARROW = 1e-15
BISECT_EVERY = 3
"""Trials; a crossing may creep where the bound has many slopes."""
STEPS = 8
"""Neighbours of neighbours that are tried."""
TRIALS = 400
FIRST_STEP = 0.1
WIDER = 4.0
COMPACT = 0.25
"""Share of done jobs among the open ones at which they are put away."""
SETTLED = 12
"""With switch costs: how many intervals of completion are filled at most for one job."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Found:
    """The best schedule of each job and what none can cost less than; shapes (j, ...)."""

    filled: Filled
    lower_bound_usd: Floats


class _Trials:
    """All trials of the open jobs: the multiplier (o,), and for each interval of completion (n, o) what it told."""

    def __init__(self) -> None:
        self.multipliers: list[Floats] = []
        self.bounds: list[Floats] = []
        self.surplus: list[Floats] = []

    def add(self, multipliers: Floats, bounds: Floats, surplus: Floats) -> None:
        self.multipliers.append(multipliers)
        self.bounds.append(bounds)
        self.surplus.append(surplus)

    def keep(self, jobs: NDArray[np.intp]) -> None:
        self.multipliers = [values[jobs] for values in self.multipliers]
        self.bounds = [values[:, jobs] for values in self.bounds]
        self.surplus = [values[:, jobs] for values in self.surplus]

    def bracket(self, closing: NDArray[np.intp]) -> "_Bracket":
        """The nearest trials on both sides of the best bound of completion in `closing`."""
        jobs = np.arange(closing.size)
        multipliers = np.stack(self.multipliers)
        bounds = np.stack([values[closing, jobs] for values in self.bounds])
        surplus = np.stack([values[closing, jobs] for values in self.surplus])
        below = np.where(surplus > 0, multipliers, -np.inf)
        above = np.where(surplus > 0, np.inf, multipliers)
        low, high = below.argmax(axis=0), above.argmin(axis=0)
        return _Bracket(
            low=below[low, jobs],
            high=above[high, jobs],
            low_bound=bounds[low, jobs],
            high_bound=bounds[high, jobs],
            low_slope=surplus[low, jobs],
            high_slope=surplus[high, jobs],
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Bracket:
    """Shapes (j,); infinite where nothing was tried on that side."""

    low: Floats
    high: Floats
    low_bound: Floats
    high_bound: Floats
    low_slope: Floats
    high_slope: Floats

    def crossing(self) -> tuple[Floats, Floats]:
        """Where the two tangents meet, and how high: no bound of this interval can be higher."""
        with np.errstate(invalid="ignore"):  # one side is infinite: the crossing is not used
            return self._crossing()

    def _crossing(self) -> tuple[Floats, Floats]:
        rise = self.high_bound - self.low_bound + self.low_slope * self.low - self.high_slope * self.high
        at = np.clip(rise / (self.low_slope - self.high_slope), self.low, self.high)
        return at, self.low_bound + self.low_slope * (at - self.low)


def search(batch: Batch) -> Found:
    """The best schedule of each job of a batch in which every job can meet its deadline."""
    return _Search(batch).run()


class _Search:
    """The state of a search. Of the open jobs alone: shapes with o for j."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.free = batch, batch.switches.free
        self.filled = run_through(batch)
        """The best schedule so far of all jobs."""
        self.lower_bound = np.full(batch.work_seconds.size, -np.inf)
        self.relaxation = Relaxation(batch)
        self.trials = _Trials()
        self.ids = np.arange(batch.work_seconds.size)
        """(o,): the numbers of the open jobs."""
        self.scale = batch.scale_usd
        possible = batch.capacity_seconds > batch.work_seconds[:, None] * (1.0 + ROUNDING)  # else only `run_through`
        self.open = np.where(possible.T, -np.inf, np.inf)
        """(n, o): the best bound of each interval of completion not settled; infinite where settled or impossible."""
        self.settled = np.zeros(self.ids.size, dtype=np.intp)
        """(o,): how many are settled."""
        self.settled_bound = np.full(self.ids.size, np.inf)
        """(o,): the least bound of those."""
        self.guess, self.span = _guess(batch)
        """(o,): where to look first, and how far to go where one side of a bracket is missing."""

    def run(self) -> Found:
        self._try(self.guess - self.span)
        self._try(self.guess + self.span)
        for trial in range(TRIALS):
            closing = self.open.argmin(axis=0)
            bound = self.open[closing, np.arange(closing.size)]
            best = self.filled.cost_usd[self.ids]
            self.lower_bound[self.ids] = np.minimum(np.minimum(bound, self.settled_bound), best)
            done = bound >= best - (EXACT if self.free else CLOSE_ENOUGH) * self.scale
            done |= (self.settled >= SETTLED) & (not self.free)
            if done.all():
                break
            if done.mean() > COMPACT:
                self._keep(np.flatnonzero(~done))
                closing, bound, done = closing[~done], bound[~done], done[~done]
            self._step(closing, bound, done, bisect=trial % BISECT_EVERY == BISECT_EVERY - 1)
        if not self.free:
            self._polish(self.batch)
        return Found(filled=self.filled, lower_bound_usd=self.lower_bound)

    def _step(self, closing: NDArray[np.intp], bound: Floats, done: NDArray[np.bool_], *, bisect: bool) -> None:
        bracket = self.trials.bracket(closing)
        crossing, ceiling = bracket.crossing()
        one_sided = np.isinf(bracket.low) | np.isinf(bracket.high)
        narrow = bracket.high - bracket.low <= NARROW * np.abs(bracket.low)
        near = ceiling <= bound + (BRACKET_OF_FREE if self.free else BRACKET) * self.scale
        closed = ~one_sided & (near | narrow)
        multipliers = np.where(closed | (not bisect), crossing, (bracket.low + bracket.high) / 2)
        self.span = np.where(one_sided, WIDER * self.span, self.span)
        outside = np.where(np.isinf(bracket.low), bracket.high - self.span, bracket.low + self.span)
        multipliers = np.where(one_sided, outside, multipliers)
        settling = np.flatnonzero(closed & ~done)
        if settling.size:
            self._settle(settling, closing[settling], bracket.low[settling], bracket.high[settling])
        self._try(multipliers)

    def _try(self, multipliers: Floats) -> None:
        relaxed = self.relaxation.at(multipliers)
        self.trials.add(multipliers, relaxed.bounds_usd, relaxed.surplus_seconds)
        np.maximum(self.open, relaxed.bounds_usd, out=self.open)

    def _settle(self, jobs: NDArray[np.intp], closing: NDArray[np.intp], low: Floats, high: Floats) -> None:
        bound = self.open[closing, jobs]
        if self.free:
            filled = fill(self.batch.take(self.ids[jobs]), closing, None)
            bound = np.where(filled.feasible, filled.least_usd, bound)  # a linear program: filling attains the bound
            self._remember(self.ids[jobs], filled)
        else:
            batch = self.batch.take(self.ids[jobs], slice(int(closing.max()) + 1))
            low_paths, high_paths = self._paths(batch, self.ids[jobs], closing, low, high)
            far = np.flatnonzero(self.filled.cost_usd[self.ids[jobs]] > bound + CLOSE_ENOUGH * self.scale[jobs])
            if far.size:
                self._try_paths(batch, self.ids[jobs], far, between(low_paths[far], high_paths[far], closing[far]))
        self.settled_bound[jobs] = np.minimum(self.settled_bound[jobs], bound)
        self.settled[jobs] += 1
        self.open[closing, jobs] = np.inf

    def _paths(
        self, batch: Batch, ids: NDArray[np.intp], closing: NDArray[np.intp], low: Floats, high: Floats
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The best paths at both ends of each bracket, both filled; in one pass, as a pass has its price."""
        both = np.tile(np.arange(closing.size), 2)
        relaxed = Relaxation(batch.take(both)).at(np.concatenate((low, high)))
        starts = path_of(relaxed, closing[both])
        self._try_paths(batch, ids, both, Candidates(np.arange(both.size), closing[both], starts))
        return starts[: closing.size], starts[closing.size :]

    def _polish(self, batch: Batch) -> None:
        """Go on to better neighbours while there are any, for the jobs whose gap is not small."""
        last = (batch.closing_seconds > 0).sum(axis=1) - 1
        for _ in range(STEPS):
            before = self.filled.cost_usd.copy()
            far = np.flatnonzero(before > self.lower_bound + CLOSE_ENOUGH * batch.scale_usd)
            if not far.size:
                return
            drawn = self.filled.seconds[far].sum(axis=2) + self.filled.switch_seconds[far] > 0
            closing = drawn.shape[1] - 1 - np.argmax(drawn[:, ::-1], axis=1)
            near = beside(self.filled.starts_running[far], closing, last[far])
            self._try_paths(batch, np.arange(before.size), far, near)
            if not (self.filled.cost_usd < before).any():
                return

    def _try_paths(self, batch: Batch, ids: NDArray[np.intp], jobs: NDArray[np.intp], paths: Candidates) -> None:
        """Fill candidates of some of a batch's jobs, whose numbers are `ids`, and remember the best of each."""
        if not paths.jobs.size:
            return
        owners = jobs[paths.jobs]
        filled = fill(batch.take(owners), paths.closing, paths.starts)
        order = np.lexsort((filled.cost_usd, owners))
        best = order[np.unique(owners[order], return_index=True)[1]]
        self._remember(ids[owners[best]], filled.take(best))

    def _remember(self, ids: NDArray[np.intp], filled: Filled) -> None:
        better = np.flatnonzero(filled.cost_usd < self.filled.cost_usd[ids])
        ids = ids[better]
        self.filled.cost_usd[ids] = filled.cost_usd[better]
        for whole, part in zip(self.filled.arrays, filled.arrays, strict=True):
            whole[ids] = 0
            whole[ids, : part.shape[1]] = part[better]

    def _keep(self, jobs: NDArray[np.intp]) -> None:
        self.relaxation = self.relaxation.take(jobs)
        self.trials.keep(jobs)
        self.ids, self.scale, self.span = self.ids[jobs], self.scale[jobs], self.span[jobs]
        self.settled, self.settled_bound = self.settled[jobs], self.settled_bound[jobs]
        self.open = self.open[:, jobs]


def _guess(batch: Batch) -> tuple[Floats, Floats]:
    """The multiplier at which the cheapest intervals, at full power, would do; and a first step away from it."""
    device, jobs = batch.device, np.arange(batch.work_seconds.size)
    rising = np.sort(np.where(batch.closing_seconds > 0, batch.unit_costs, np.inf), axis=1)
    needed = batch.work_seconds / (device.speeds[device.full] * batch.step_seconds)
    dearest = rising[jobs, np.minimum(needed, (batch.closing_seconds > 0).sum(axis=1) - 1).astype(np.intp)]
    watts = (device.draws_w[device.full] - device.parked_w) / device.speeds[device.full]
    typical = batch.scale_usd / batch.work_seconds
    return dearest * watts, FIRST_STEP * typical + np.finfo(np.float64).tiny
