"""A job that follows its plans, event by event, does what the backtest says that it does."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from carbonshift.backtest.bench import StudyOptions
from carbonshift.backtest.board_runs import Boards
from carbonshift.backtest.planned import expected, planned_runs
from carbonshift.backtest.recorded import recorded
from carbonshift.common.events import GridTick, JobStatus, RunState
from carbonshift.common.tape import open_tape
from carbonshift.decide.histories import Past
from carbonshift.decide.job_desk import JobDesk
from carbonshift.decide.machine import step
from carbonshift.decide.planning.choice import PARKED_MODE
from carbonshift.decide.planning.job import Device
from carbonshift.decide.policies.planner import Planner
from carbonshift.decide.settings import DecideSettings
from carbonshift.ingest.bundled import bundled_tapes

OPTIONS = StudyOptions(work_seconds=12 * 3_600.0)
SLACK = 1.0
STARTS = (415, 681, 1_423)
STEPS_PER_SECOND = 1_000_000
"""Of full speed: whole steps are as fine as the account of the backtest."""


@pytest.fixture(scope="module")
def recording():
    """The first months are enough."""
    whole = recorded(open_tape(bundled_tapes()["fr_2018_hourly"]))
    count = STARTS[-1] + 60
    return replace(
        whole,
        ticks=whole.ticks[:count],
        prices_usd_per_mwh=whole.prices_usd_per_mwh[:count],
        carbon_g_per_kwh=whole.carbon_g_per_kwh[:count],
    )


def followed(recording, settings):
    """Seconds of each mode in each interval of a job from each start, told by nothing but its plans."""
    past, desk, policy = Past(region="fr", mark=""), JobDesk(), Planner(settings)
    device, boards, found, number = Device.of(OPTIONS.curve), {}, {}, 0
    for event in recording.heard():
        past.hear(event, settings.time_zone)
        if not isinstance(event, GridTick):
            continue
        past.memory, _, state = step(past.memory, event, policy, settings)
        if state is None:
            continue
        if number in STARTS:
            one = np.array([number])
            boards[number] = Boards(device, OPTIONS.switches, 3_600, one, OPTIONS.work_seconds)
        for start, board in boards.items():
            desk.heard(status_of(start, board, recording, event))
        for plan in desk.plans(event, state, past.outlook, policy, {}, settings):
            mode = PARKED_MODE
            if plan.modes[0] != "paused":
                limits = [settings.power_fraction(limit) for limit in device.limits_w]
                mode = limits.index(plan.modes[0])
            boards[int(plan.job)].do(np.array([mode], dtype=np.intp))
        number += 1
    for start, board in boards.items():
        found[start] = board.runs().seconds[0]
    return found


def status_of(start, board, recording, tick):
    done = OPTIONS.work_seconds - float(board.work_seconds[0])
    return JobStatus(
        job=str(start),
        worker="w",
        site="s",
        region=tick.region,
        observed_at=tick.interval_start,
        state=RunState.RUNNING if board.running[0] else RunState.PAUSED,
        step=round((done + 1.0) * STEPS_PER_SECOND),  # a second of earlier work tells the pace
        work_seconds=done + 1.0,
        remaining_steps=round(float(board.work_seconds[0]) * STEPS_PER_SECOND),
        deadline=recording.moment(start) + timedelta(seconds=OPTIONS.deadline_seconds(SLACK)),
    )


def test_every_interval_is_spent_alike(recording):
    settings = DecideSettings(time_zone=recording.tape.sidecar.time_zone)
    wanted = planned_runs(
        Planner(settings),
        expected(recording, settings.time_zone),
        np.array(STARTS),
        work_seconds=OPTIONS.work_seconds,
        deadline_seconds=OPTIONS.deadline_seconds(SLACK),
        usd_per_gpu_hour=0.0,
        usd_per_tonne=settings.usd_per_tonne,
        device=Device.of(OPTIONS.curve),
        switches=OPTIONS.switches,
        margin_seconds=OPTIONS.margin_seconds,
    )
    assert (wanted.pauses > 0).all()
    for number, (start, seconds) in enumerate(followed(recording, settings).items()):
        own = wanted.seconds[number]
        assert seconds == pytest.approx(own[: seconds.shape[0]], abs=1e-3), start
        assert own[seconds.shape[0] :].sum() == 0
