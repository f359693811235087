"""Remembers the jobs that have a deadline and plans them interval by interval. Every judgement is in `planning`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from carbonshift.common.events import GridState, GridTick, JobPlan, JobStatus, RunState
from carbonshift.common.events.replay import mark
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.planning.choice import PARKED_MODE
from carbonshift.decide.planning.job import Device, Job, SwitchCosts
from carbonshift.decide.planning.margin import Margin
from carbonshift.decide.planning.outlook import Outlook
from carbonshift.decide.planning.plan import Plan, plan_on, situation_of
from carbonshift.decide.policy import JobPolicy
from carbonshift.decide.settings import DecideSettings

__all__ = ["SWITCHES", "JobDesk", "Remaining", "board_of"]

SWITCHES = SwitchCosts()
FORGOTTEN_AFTER = timedelta(days=1)
"""Of event time: a job that has said nothing for so long is no longer planned."""


@dataclass(slots=True, kw_only=True)
class _Known:
    """What is remembered of one job."""

    status: JobStatus
    margin: Margin = field(default_factory=Margin)
    promised: tuple[datetime, float, float] | None = None
    """When the last plan was made, how much had been done by then, and what it promised until the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is left to do of a job with a deadline, seen from the beginning of an interval."""

    job: Job
    margin_seconds: float


def board_of(ceiling_w: float) -> Device:
    """A board that may draw so much at most: the reference board, scaled."""
    return Device.of(RESNET18_V100.scaled(ceiling_w / RESNET18_V100.limits_w[-1]))


REFERENCE = board_of(RESNET18_V100.limits_w[-1])


class JobDesk:
    """The latest status of each job, and what it has taught about promises."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], _Known] = {}

    def heard(self, status: JobStatus) -> None:
        """A job has said how far it is; one that has ended is forgotten."""
        key = (status.job, mark(status.replay))
        if status.state is RunState.ENDED:
            self._jobs.pop(key, None)
        elif key in self._jobs:
            self._jobs[key].status = status
        else:
            self._jobs[key] = _Known(status=status)

    def remaining(self, name: str, tick: GridTick) -> Remaining | None:
        """Of a job of the region and the history of `tick`; None where it has no deadline, or its pace is not known."""
        known = self._jobs.get((name, mark(tick.replay)))
        return _remaining(known, tick) if known and known.status.region == tick.region else None

    def plans(
        self,
        tick: GridTick,
        state: GridState,
        outlook: Outlook,
        policy: JobPolicy,
        ceilings_w: Mapping[str, Sequence[float]],
        settings: DecideSettings,
    ) -> Iterator[JobPlan]:
        """A plan for each job of the region that has a deadline and says how much is left to do.

        At full power runs a job that has not yet done a step, as its pace is not known, and any job while nobody knows
        what energy costs: the deadline comes first.

        Args:
            tick: the interval.
            state: its verdict.
            outlook: what is known and expected after it.
            policy: who plans.
            ceilings_w: what each board of a job may draw at most; one reference board where nothing is known.
            settings: in force in the region.
        """
        for (name, replay), known in self._jobs.items():
            status = known.status
            if tick.interval_start - status.observed_at > FORGOTTEN_AFTER:
                continue
            if status.region != tick.region or replay != mark(tick.replay):
                continue
            boards = [board_of(ceiling_w) for ceiling_w in ceilings_w.get(name, ()) if ceiling_w > 0] or [REFERENCE]
            if (plan := _planned(known, tick, outlook, policy, boards, settings)) is not None:
                yield _event(status, plan, tick, state, policy, settings)


def _remaining(known: _Known, tick: GridTick) -> Remaining | None:
    status = known.status
    if status.deadline is None or not status.remaining_steps or status.step == 0 or status.work_seconds <= 0:
        return None
    work_seconds = status.remaining_steps * status.work_seconds / status.step
    job = Job(
        work_seconds=work_seconds,
        deadline_seconds=(status.deadline - tick.interval_start).total_seconds(),
        usd_per_gpu_hour=status.usd_per_gpu_hour or 0.0,
        running=status.state is RunState.RUNNING,
    )
    return Remaining(job=job, margin_seconds=known.margin.seconds(work_seconds))


def _planned(
    known: _Known,
    tick: GridTick,
    outlook: Outlook,
    policy: JobPolicy,
    boards: Sequence[Device],
    settings: DecideSettings,
) -> Plan | None:
    """None without a deadline, or without work left."""
    status, ahead, board = known.status, outlook.ahead(), boards[0]
    if status.deadline is None or not status.remaining_steps:
        return None
    if known.promised is not None and known.promised[0] < tick.interval_start:
        _, done_by_then, promised_seconds = known.promised
        known.margin = known.margin.after(promised_seconds, status.work_seconds - done_by_then)
    remaining = _remaining(known, tick)
    if remaining is None or ahead is None:
        now = np.array([board.full], dtype=np.intp)
        late = tick.interval_end >= status.deadline
        return Plan(modes=now, cost_usd=None, carbon_g=None, finish_seconds=None, at_risk=late)
    job, clock = remaining.job, outlook.clock
    situation = situation_of(ahead, job, remaining.margin_seconds, clock, settings.usd_per_tonne)
    mode = int(policy.choose(situation, board, SWITCHES, clock)[0])
    promised = board.speeds[mode] * tick.interval_seconds if mode != PARKED_MODE else 0.0
    known.promised = (tick.interval_start, status.work_seconds, min(promised, job.work_seconds))
    plan = plan_on(mode, ahead, job, situation, board, SWITCHES, clock)
    watts = sum(other.switch_w for other in boards) / board.switch_w
    return replace(
        plan,
        cost_usd=None if plan.cost_usd is None else plan.cost_usd * watts,
        carbon_g=None if plan.carbon_g is None else plan.carbon_g * watts,
    )


def _event(
    status: JobStatus, plan: Plan, tick: GridTick, state: GridState, policy: JobPolicy, settings: DecideSettings
) -> JobPlan:
    def mode(number: int) -> Literal["paused"] | float:
        return "paused" if number == PARKED_MODE else settings.power_fraction(RESNET18_V100.limits_w[number])

    finish = None if plan.finish_seconds is None else tick.interval_start + timedelta(seconds=plan.finish_seconds)
    return JobPlan(
        job=status.job,
        origin=tick.interval_start,
        step_seconds=tick.interval_seconds,
        modes=tuple(mode(int(number)) for number in plan.modes),
        expected_cost_usd=plan.cost_usd,
        expected_carbon_g=plan.carbon_g,
        expected_finish=finish,
        deadline_at_risk=plan.at_risk,
        valid_until=state.valid_until,
        policy=policy.name,
        replay=tick.replay,
    )
