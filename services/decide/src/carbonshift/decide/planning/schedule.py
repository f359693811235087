"""The cheapest schedule of a job, and of many: exact where switches are free, else with a bound beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.batch import Batch
from carbonshift.decide.planning.errors import UnplannableError
from carbonshift.decide.planning.filling import ROUNDING, Filled, run_through
from carbonshift.decide.planning.job import Device, Job, SwitchCosts
from carbonshift.decide.planning.search import search
from carbonshift.decide.planning.segments import hulls_of

__all__ = ["Schedule", "cheapest", "plan_many"]

Floats = NDArray[np.float64]

TOGETHER = 512
"""Jobs searched at a time, those with near deadlines first: no job pays for intervals beyond those of its like."""
REAL_SWITCHES = SwitchCosts()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Schedule:
    """What a board does in each of `n` intervals, and what that costs; arrays have shape (n,) unless they say more.

    In an interval the parked seconds, the switch and the seconds of the modes follow one another: parked first where
    `starts_running` is false, last where it is true. The modes may come in any order. In the interval of completion
    nothing follows the last second of work.
    """

    step_seconds: float
    seconds: Floats
    """Shape (n, modes + 1): parked, then each mode in the order of the device; at most two modes of an interval."""
    switch_seconds: Floats
    """Of the pause or the resume in the interval, beside `seconds`."""
    starts_running: NDArray[np.bool_]
    """Whether the interval begins running; false after completion."""
    work_seconds: Floats
    energy_j: Floats
    cost_usd: Floats
    """Of the energy."""
    waiting_usd: float
    """`finish_seconds` at the job's value of waiting."""
    finish_seconds: float
    """Completion, from the origin; beyond the last interval where they do not suffice at full power."""
    lower_bound_usd: float
    """No schedule that meets the deadline has a `total_usd` below this."""
    at_risk: bool
    """The deadline, or the end of the intervals, comes before completion even at full power: what is shown is that."""

    @property
    def total_usd(self) -> float:
        """What was made least: energy and waiting."""
        return float(self.cost_usd.sum()) + self.waiting_usd

    @property
    def gap_usd(self) -> float:
        """What a better schedule could save at most; the certificate."""
        return self.total_usd - self.lower_bound_usd

    @property
    def drawn_seconds(self) -> Floats:
        """How long the board draws in each interval: the step until completion."""
        drawn: Floats = self.seconds.sum(axis=1) + self.switch_seconds
        return drawn

    @property
    def draw_w(self) -> Floats:
        """Mean draw while it draws; 0 after completion."""
        drawn = self.drawn_seconds
        return np.divide(self.energy_j, drawn, out=np.zeros_like(drawn), where=drawn > 0)

    @property
    def running(self) -> NDArray[np.bool_]:
        """Whether work is done in the interval, in part of it at least."""
        return self.work_seconds > 0


def cheapest(
    unit_costs: Floats, step_seconds: float, job: Job, device: Device, switches: SwitchCosts = REAL_SWITCHES
) -> Schedule:
    """The cheapest schedule of one job: `plan_many` of one."""
    return plan_many(unit_costs, step_seconds, [job], device, switches)[0]


def plan_many(
    unit_costs: Floats,
    step_seconds: float,
    jobs: Sequence[Job],
    device: Device,
    switches: SwitchCosts = REAL_SWITCHES,
) -> list[Schedule]:
    """The cheapest schedule of each job on a board of its own, all of one kind.

    Args:
        unit_costs: USD/J of each interval from the origin on, shape (n,) for all jobs or (j, n); n >= 1, no NaN.
        step_seconds: length of an interval, at least that of a pause and that of a resume.
        jobs: j of them.
        device: the modes of the board.
        switches: what pausing and resuming take; `FREE_SWITCHES` gives an optimum instead of a bound and a schedule.

    Returns: a schedule for each job, over all n intervals. Without work it is empty.

    Raises: UnplannableError where the costs are not finite or there are none, or a switch exceeds the step.
    """
    costs = _checked(unit_costs, step_seconds, len(jobs), switches)
    batch = _batch(costs, step_seconds, jobs, device, switches)
    filled = run_through(batch)
    bounds = filled.cost_usd.copy()
    most = batch.capacity_seconds.max(axis=1, initial=0.0)
    choice = (batch.work_seconds > 0) & (most > batch.work_seconds * (1.0 + ROUNDING))
    risky = (batch.work_seconds > 0) & (most < batch.work_seconds * (1.0 - ROUNDING))
    open_intervals = (batch.closing_seconds > 0).sum(axis=1)
    todo = np.flatnonzero(choice)
    todo = todo[np.argsort(open_intervals[todo], kind="stable")]
    for first in range(0, todo.size, TOGETHER):
        chosen = todo[first : first + TOGETHER]
        until = slice(int(open_intervals[chosen[-1]]))
        found = search(batch.take(chosen, until))
        filled.cost_usd[chosen], bounds[chosen] = found.filled.cost_usd, found.lower_bound_usd
        for whole, part in zip(filled.arrays, found.filled.arrays, strict=True):
            whole[chosen] = 0
            whole[chosen, until] = part
    return _schedules(batch, filled, bounds, risky)


def _checked(unit_costs: Floats, step_seconds: float, jobs: int, switches: SwitchCosts) -> Floats:
    costs = np.asarray(unit_costs, dtype=np.float64)
    if costs.ndim == 1:
        costs = np.broadcast_to(costs, (jobs, costs.size))
    if costs.ndim != 2 or costs.shape[0] != jobs or costs.shape[1] == 0:  # noqa: PLR2004  # jobs and intervals
        raise UnplannableError(f"unit costs of shape {costs.shape} for {jobs} jobs", "give (n,) or (jobs, n), n >= 1")
    if not np.isfinite(costs).all():
        row = int(np.flatnonzero(~np.isfinite(costs).all(axis=0))[0])
        raise UnplannableError(f"no finite unit cost in interval {row}", "fill the gaps of price and carbon first")
    if not step_seconds >= max(switches.pause_seconds, switches.resume_seconds, np.finfo(np.float64).tiny):
        raise UnplannableError(f"a switch does not fit into {step_seconds} s", "plan in longer intervals")
    return costs


def _batch(costs: Floats, step_seconds: float, jobs: Sequence[Job], device: Device, switches: SwitchCosts) -> Batch:
    deadlines = np.array([job.deadline_seconds for job in jobs], dtype=np.float64)
    starts = np.arange(costs.shape[1]) * step_seconds
    return Batch(
        unit_costs=costs,
        step_seconds=step_seconds,
        closing_seconds=np.clip(deadlines[:, None] - starts, 0.0, step_seconds),
        work_seconds=np.array([job.work_seconds for job in jobs], dtype=np.float64),
        usd_per_second=np.array([job.usd_per_gpu_hour / 3_600.0 for job in jobs], dtype=np.float64),
        running=np.array([job.running or switches.free for job in jobs], dtype=np.bool_),
        device=device,
        hulls=hulls_of(device),
        switches=switches,
    )


def _schedules(batch: Batch, filled: Filled, bounds: Floats, risky: NDArray[np.bool_]) -> list[Schedule]:
    work = filled.seconds @ np.array((0.0, *batch.device.speeds))
    energy = filled.energy_j(batch.device)
    cost = energy * batch.unit_costs
    drawn = filled.seconds.sum(axis=2) + filled.switch_seconds
    starts = filled.starts_running & (drawn > 0)
    missing = batch.work_seconds - work.sum(axis=1)
    left = np.where(risky, np.maximum(missing, 0.0) / max(batch.device.speeds), 0.0)
    finish = drawn.sum(axis=1) + left
    waiting = finish * batch.usd_per_second
    totals = cost.sum(axis=1) + waiting
    return [
        Schedule(
            step_seconds=batch.step_seconds,
            seconds=filled.seconds[job],
            switch_seconds=filled.switch_seconds[job],
            starts_running=starts[job],
            work_seconds=work[job],
            energy_j=energy[job],
            cost_usd=cost[job],
            waiting_usd=float(waiting[job]),
            finish_seconds=float(finish[job]),
            lower_bound_usd=float(min(bounds[job], totals[job])),
            at_risk=bool(risky[job]),
        )
        for job in range(totals.size)
    ]
