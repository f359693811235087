"""The whole plan of one job: the mode that was chosen for now, and the cheapest way on from there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.accounting import J_PER_KWH, J_PER_MWH
from carbonshift.decide.planning.choice import PARKED_MODE, Situation
from carbonshift.decide.planning.job import Device, Job, SwitchCosts
from carbonshift.decide.planning.outlook import Ahead
from carbonshift.decide.planning.schedule import Schedule, cheapest
from carbonshift.decide.planning.seasonal import Clock
from carbonshift.decide.planning.segments import PARKED, unit_costs_usd_per_j

__all__ = ["Plan", "plan_on", "situation_of"]

Floats = NDArray[np.float64]
Modes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan:
    """What a job shall do from an interval on, and what is expected of it."""

    modes: Modes
    """Of each interval until completion, shape (n,), n >= 1: a mode of the device or `PARKED_MODE`."""
    cost_usd: float | None
    """Of the energy from the interval on; None, as the next two, where the job's pace is not known yet."""
    carbon_g: float | None
    finish_seconds: float | None
    """From the beginning of the interval; beyond the deadline where it cannot be kept."""
    at_risk: bool


def situation_of(ahead: Ahead, job: Job, margin_seconds: float, clock: Clock, usd_per_tonne: float) -> Situation:
    """One job as a policy is asked about it; `job` is seen from the beginning of the interval."""
    rest_seconds = job.deadline_seconds - clock.step_seconds
    stages = int(max(rest_seconds, 0.0) // (clock.stage * clock.step_seconds)) + 1
    at = clock.unrolled(stages)
    return Situation(
        work_seconds=np.array([job.work_seconds]),
        running=np.array([job.running]),
        unit_costs_now=unit_costs_usd_per_j(
            np.array([ahead.price_now_usd_per_mwh]), np.array([ahead.carbon_now_g_per_kwh]), usd_per_tonne
        ),
        unit_costs=unit_costs_usd_per_j(
            ahead.prices_usd_per_mwh[None, at], ahead.carbon_g_per_kwh[None, at, None], usd_per_tonne
        ),
        rest_seconds=rest_seconds,
        margin_seconds=np.array([margin_seconds]),
        usd_per_second=np.array([job.usd_per_gpu_hour / 3_600.0]),
    )


def plan_on(
    mode: int, ahead: Ahead, job: Job, situation: Situation, device: Device, switches: SwitchCosts, clock: Clock
) -> Plan:
    """The plan that begins with `mode` in the present interval and goes on as cheaply as is expected to be possible.

    Args:
        mode: what a policy chose for the interval.
        ahead: what is known and expected.
        job: as at the beginning of the interval.
        situation: what the policy was asked.
        device: the board.
        switches: what pausing and resuming take.
        clock: intervals and stages.
    """
    step = float(clock.step_seconds)
    runs = mode != PARKED_MODE
    lost = switches.resume_seconds if runs and not job.running else 0.0
    pause = switches.pause_seconds if job.running and not runs else 0.0
    speed, draw_w = (device.speeds[mode], device.draws_w[mode]) if runs else (0.0, device.parked_w)
    busy = min(step - lost, job.work_seconds / speed) if runs else step - pause
    left = max(job.work_seconds - speed * busy, 0.0)
    now_j = draw_w * busy + device.switch_w * (lost + pause)
    now = np.array([mode], dtype=np.intp)
    cost_usd = now_j * ahead.price_now_usd_per_mwh / J_PER_MWH
    carbon_g = now_j * ahead.carbon_now_g_per_kwh / J_PER_KWH
    if left <= 0:
        late = lost + busy > job.deadline_seconds
        return Plan(modes=now, cost_usd=cost_usd, carbon_g=carbon_g, finish_seconds=lost + busy, at_risk=late)
    rest = Job(
        work_seconds=left,
        deadline_seconds=situation.rest_seconds,
        usd_per_gpu_hour=job.usd_per_gpu_hour,
        running=runs,
    )
    stage_seconds = step * clock.stage
    needed = int(np.ceil((left / max(device.speeds) + switches.resume_seconds) / stage_seconds))
    stages = max(situation.unit_costs.shape[1], needed)
    at = np.minimum(np.arange(stages), situation.unit_costs.shape[1] - 1)
    schedule = cheapest(situation.unit_costs[0, at].mean(axis=1), stage_seconds, rest, device, switches)
    of_stage = clock.unrolled(stages)
    energy_j = schedule.energy_j
    prices = ahead.prices_usd_per_mwh.mean(axis=1)[of_stage]
    finish = step + schedule.finish_seconds
    return Plan(
        modes=np.concatenate((now, _steps(schedule, clock))),
        cost_usd=cost_usd + float((energy_j * prices).sum()) / J_PER_MWH,
        carbon_g=carbon_g + float((energy_j * ahead.carbon_g_per_kwh[of_stage]).sum()) / J_PER_KWH,
        finish_seconds=finish,
        at_risk=schedule.at_risk or finish > job.deadline_seconds,
    )


def _steps(schedule: Schedule, clock: Clock) -> Modes:
    """The schedule's stages as intervals: in each what is done at its middle."""
    modes: list[int] = []
    for stage in np.flatnonzero(schedule.drawn_seconds > 0):
        parked = float(schedule.seconds[stage, PARKED])
        running = [(float(schedule.seconds[stage, way]), way - 1) for way in range(1, schedule.seconds.shape[1])]
        first = (
            [*running, (parked, PARKED_MODE)] if schedule.starts_running[stage] else [(parked, PARKED_MODE), *running]
        )
        first = [one for one in first if one[0] > 0] or first  # a last step has its middle after what it does
        ends = np.cumsum([seconds for seconds, _ in first])
        middles = (np.arange(clock.stage) + 0.5) / clock.stage * schedule.step_seconds
        middles = middles[middles < max(ends[-1], middles[0] * 1.000001)]
        at = np.minimum(np.searchsorted(ends, middles, side="right"), len(first) - 1)
        modes.extend(first[place][1] for place in at.tolist())
    return np.array(modes, dtype=np.intp)
