"""The cheapest schedules of perfect foresight: what no policy can beat, with the proof beside them. Pure.

The same optimiser as a planner's, told what the planner can only forecast: same board, parked draw, switches, deadline.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.baselines import USD_PER_TONNE
from carbonshift.common.accounting import Usage
from carbonshift.common.errors import InputError
from carbonshift.common.power_curve import PowerCurve
from carbonshift.decide.planning.job import Device, Job, SwitchCosts
from carbonshift.decide.planning.schedule import Schedule, plan_many
from carbonshift.decide.planning.segments import PARKED, unit_costs_usd_per_j

__all__ = ["Grid", "OracleRun", "oracle"]

Floats = NDArray[np.float64]

REAL_SWITCHES = SwitchCosts()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Grid:
    """What the grid came to be, in intervals of one length; shape (n,) each, no NaN: gaps are filled by the caller."""

    step_seconds: float
    prices_usd_per_mwh: Floats
    carbon_g_per_kwh: Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OracleRun:
    """The best a job could have done from one start on."""

    start: int
    """The interval of the grid it begins with."""
    schedule: Schedule
    usage: Usage
    """The schedule in the accounting of workers and reports."""
    usd_per_tonne: float

    @property
    def total_usd(self) -> float:
        """Energy, carbon and waiting: what was made least."""
        return self.usage.cost_usd + self.usage.carbon_g / 1e6 * self.usd_per_tonne + self.schedule.waiting_usd

    @property
    def lower_bound_usd(self) -> float:
        """The certificate: no schedule of this job in time has a `total_usd` below it."""
        return self.schedule.lower_bound_usd


def oracle(
    grid: Grid,
    starts: Sequence[int],
    job: Job,
    curve: PowerCurve,
    *,
    usd_per_tonne: float = USD_PER_TONNE,
    switches: SwitchCosts = REAL_SWITCHES,
) -> list[OracleRun]:
    """The cheapest run of the same job from each of several starts, knowing all that comes.

    Args:
        grid: the tape.
        starts: numbers of the intervals with which the runs begin.
        job: work, deadline from the start, value of waiting.
        curve: the board.
        usd_per_tonne: price of carbon.
        switches: what pausing and resuming take.

    Returns: the runs, in the order of `starts`.

    Raises: InputError where the tape ends before a deadline, or before a run that is late in any case.
    """
    device = Device.of(curve)
    begin = 0.0 if job.running else switches.resume_seconds
    fastest = begin + job.work_seconds / max(device.speeds)
    intervals = max(int(np.ceil(max(job.deadline_seconds, fastest) / grid.step_seconds - 1e-9)), 1)
    first = np.asarray(starts, dtype=np.intp)
    if first.size and not (first.min() >= 0 and first.max() + intervals <= grid.prices_usd_per_mwh.size):
        raise InputError(
            f"a start needs {intervals} intervals of a tape of {grid.prices_usd_per_mwh.size}", "start earlier"
        )
    taken = first[:, None] + np.arange(intervals)
    prices, carbon = grid.prices_usd_per_mwh[taken], grid.carbon_g_per_kwh[taken]
    costs = unit_costs_usd_per_j(prices, carbon, usd_per_tonne)
    schedules = plan_many(costs, grid.step_seconds, [job] * first.size, device, switches)
    return [
        OracleRun(
            start=int(start),
            schedule=schedule,
            usage=_usage(schedule, device, run_prices, run_carbon),
            usd_per_tonne=usd_per_tonne,
        )
        for start, schedule, run_prices, run_carbon in zip(first, schedules, prices, carbon, strict=True)
    ]


def _usage(schedule: Schedule, device: Device, prices: Floats, carbon: Floats) -> Usage:
    total = Usage()
    for i in np.flatnonzero(schedule.drawn_seconds > 0):
        parked_seconds = float(schedule.seconds[i, PARKED])
        parked_j = device.parked_w * parked_seconds
        spans = ((parked_seconds, parked_j, 0.0, True), _running_span(schedule, int(i), parked_seconds, parked_j))
        for seconds, energy_j, work_seconds, parked in spans:
            total += Usage.of(
                seconds=seconds,
                energy_j=energy_j,
                work_seconds=work_seconds,
                parked=parked,
                price_usd_per_mwh=float(prices[i]),
                carbon_g_per_kwh=float(carbon[i]),
            )
    return total


def _running_span(
    schedule: Schedule, i: int, parked_seconds: float, parked_j: float
) -> tuple[float, float, float, bool]:
    seconds = float(schedule.drawn_seconds[i]) - parked_seconds
    return seconds, float(schedule.energy_j[i]) - parked_j, float(schedule.work_seconds[i]), False
