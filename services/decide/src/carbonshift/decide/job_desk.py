"""Remembers the jobs that have a deadline and plans them interval by interval. Every judgement is in `planning`."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from carbonshift.common.events import GridState, GridTick, JobPlan, JobStatus, Pulse, RunState
from carbonshift.common.events.replay import mark
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.planning.choice import PARKED_MODE
from carbonshift.decide.planning.job import Device, Job, SwitchCosts
from carbonshift.decide.planning.margin import Margin
from carbonshift.decide.planning.outlook import Ahead, Outlook
from carbonshift.decide.planning.plan import Plan, plan_on, situation_of
from carbonshift.decide.planning.seasonal import Clock
from carbonshift.decide.policy import JobPolicy
from carbonshift.decide.settings import DecideSettings

__all__ = ["SWITCHES", "JobDesk", "Remaining", "board_of"]

log = logging.getLogger(__name__)

SWITCHES = SwitchCosts()
FORGOTTEN_AFTER = timedelta(days=1)
"""Of event time: a job that has said nothing for so long is no longer planned."""
HORIZON_SECONDS = 14 * 86_400.0
"""A job that is due later is planned for its share of work until then: nobody knows prices further on."""
LONGEST_SECONDS = 100 * 365 * 86_400.0
"""What takes longer is not dated."""


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
        known = self._of(name, tick)
        return _remaining(known, _Moment.of(tick)) if known else None

    def deadline(self, name: str, tick: GridTick) -> datetime | None:
        """Of a job of the region and the history of `tick`."""
        known = self._of(name, tick)
        return known.status.deadline if known else None

    def _of(self, name: str, tick: GridTick) -> _Known | None:
        known = self._jobs.get((name, mark(tick.replay)))
        return known if known and known.status.region == tick.region else None

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

        At full power runs a job of which the pace, or what is left of it, is not known, and any job while nobody knows
        what energy costs: the deadline comes first. A live tick is heard when its interval is over: its plan begins
        with the interval that is running then. A job that cannot be planned is left to the state, and said.

        Args:
            tick: the interval.
            state: its verdict.
            outlook: what is known and expected after it.
            policy: who plans.
            ceilings_w: what each board of a job may draw at most; one reference board where nothing is known.
            settings: in force in the region.
        """
        now, ahead = _Moment.of(tick), outlook.ahead()
        ahead = ahead.later(now.steps, outlook.clock.stage) if ahead else None
        for (name, replay), known in self._jobs.items():
            status = known.status
            if tick.interval_start - status.observed_at > FORGOTTEN_AFTER:
                continue
            if status.region != tick.region or replay != mark(tick.replay):
                continue
            if state.state is Pulse.UNKNOWN:
                known.promised = None  # held as it is: that it keeps no promise teaches nothing
            boards = [board_of(ceiling_w) for ceiling_w in ceilings_w.get(name, ()) if ceiling_w > 0] or [REFERENCE]
            try:
                plan = _planned(known, now, ahead, outlook.clock, policy, boards, settings)
                if plan is not None:
                    yield _event(status, plan, now, tick, state, policy, settings)
            except (ArithmeticError, ValueError) as error:  # one job's trouble is not its region's
                log.warning("job %s is not planned, and left to the state: %s", name, error, exc_info=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """From when a plan can be followed."""

    origin: datetime
    """Start of the interval that is running."""
    steps: int
    """How many intervals after that of the tick."""
    gone_seconds: float
    """How much of the interval is over."""

    @classmethod
    def of(cls, tick: GridTick) -> "_Moment":
        """A replayed tick comes as its interval begins, a live one once it has been read."""
        late = tick.observed_at - tick.interval_start
        if tick.replay or late <= timedelta(0):
            return cls(origin=tick.interval_start, steps=0, gone_seconds=0.0)
        steps, gone = divmod(late, timedelta(seconds=tick.interval_seconds))
        origin = tick.interval_start + steps * timedelta(seconds=tick.interval_seconds)
        return cls(origin=origin, steps=steps, gone_seconds=gone.total_seconds())


def _remaining(known: _Known, now: _Moment) -> Remaining | None:
    status = known.status
    if status.deadline is None or not status.remaining_steps or status.step == 0 or status.work_seconds <= 0:
        return None
    work_seconds = status.remaining_steps * status.work_seconds / status.step
    job = Job(
        work_seconds=work_seconds,
        deadline_seconds=(status.deadline - now.origin).total_seconds(),
        usd_per_gpu_hour=status.usd_per_gpu_hour or 0.0,
        running=status.state is RunState.RUNNING,
    )
    return Remaining(job=job, margin_seconds=known.margin.seconds(work_seconds) + now.gone_seconds)


def _planned(
    known: _Known,
    now: _Moment,
    ahead: Ahead | None,
    clock: Clock,
    policy: JobPolicy,
    boards: Sequence[Device],
    settings: DecideSettings,
) -> Plan | None:
    """None without a deadline, or without work left."""
    status, board = known.status, boards[0]
    if status.deadline is None or status.remaining_steps == 0:
        return None
    if known.promised is not None and known.promised[0] < now.origin:
        _, done_by_then, promised_seconds = known.promised
        known.margin = known.margin.after(promised_seconds, status.work_seconds - done_by_then)
    remaining = _remaining(known, now)
    if remaining is None or ahead is None or _hopeless(remaining, board):
        known.promised = None
        return _at_full_power(remaining, (status.deadline - now.origin).total_seconds() - clock.step_seconds, board)
    job, cut = remaining.job, min(HORIZON_SECONDS / max(remaining.job.deadline_seconds, 1.0), 1.0)
    if cut < 1.0:
        job = replace(job, work_seconds=job.work_seconds * cut, deadline_seconds=HORIZON_SECONDS)
    situation = situation_of(ahead, job, remaining.margin_seconds, clock, settings.usd_per_tonne)
    mode = int(policy.choose(situation, board, SWITCHES, clock)[0])
    promised = board.speeds[mode] * clock.step_seconds if mode != PARKED_MODE else 0.0
    known.promised = (now.origin, status.work_seconds, min(promised, job.work_seconds))
    plan = plan_on(mode, ahead, job, situation, board, SWITCHES, clock)
    if cut < 1.0:  # what follows after the horizon is not told
        return replace(plan, cost_usd=None, carbon_g=None, finish_seconds=None)
    watts = sum(other.switch_w for other in boards) / board.switch_w
    return replace(
        plan,
        cost_usd=None if plan.cost_usd is None else plan.cost_usd * watts,
        carbon_g=None if plan.carbon_g is None else plan.carbon_g * watts,
    )


def _hopeless(remaining: Remaining, board: Device) -> bool:
    """Whether even full power all the way comes too late: then there is nothing to choose."""
    return remaining.job.work_seconds / max(board.speeds) > max(remaining.job.deadline_seconds, 0.0)


def _at_full_power(remaining: Remaining | None, left_seconds: float, board: Device) -> Plan:
    """`left_seconds` lie between the interval and the deadline, for where the work is not known."""
    finish_seconds: float | None = None
    at_risk = left_seconds <= 0
    if remaining is not None:
        lost = 0.0 if remaining.job.running else SWITCHES.resume_seconds
        finish_seconds = lost + remaining.job.work_seconds / max(board.speeds)
        at_risk = finish_seconds > remaining.job.deadline_seconds
        finish_seconds = finish_seconds if finish_seconds <= LONGEST_SECONDS else None
    return Plan(
        modes=np.array([board.full], dtype=np.intp),
        cost_usd=None,
        carbon_g=None,
        finish_seconds=finish_seconds,
        at_risk=at_risk,
    )


def _event(
    status: JobStatus,
    plan: Plan,
    now: _Moment,
    tick: GridTick,
    state: GridState,
    policy: JobPolicy,
    settings: DecideSettings,
) -> JobPlan:
    def mode(number: int) -> Literal["paused"] | float:
        return "paused" if number == PARKED_MODE else settings.power_fraction(RESNET18_V100.limits_w[number])

    finish = None if plan.finish_seconds is None else now.origin + timedelta(seconds=plan.finish_seconds)
    return JobPlan(
        job=status.job,
        origin=now.origin,
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
