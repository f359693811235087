"""The desk: which jobs are planned, and that a plan says what its job has to know."""

from datetime import timedelta

import numpy as np
import pytest

from carbonshift.common.events import JobStatus, Replay, RunState
from carbonshift.decide.job_desk import JobDesk
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.planning.outlook import Outlook
from carbonshift.decide.planning.seasonal import Clock
from carbonshift.decide.policies.planner import Planner
from carbonshift.decide.settings import DecideSettings

SETTINGS = DecideSettings()
POLICY = Planner(SETTINGS)


def status(tick, **changes):
    values = {
        "job": "a",
        "worker": "w",
        "site": "s",
        "region": "caiso",
        "observed_at": tick(0).interval_start,
        "state": RunState.RUNNING,
        "step": 100,
        "work_seconds": 3_600.0,
        "remaining_steps": 200,
        "deadline": tick(0).interval_start + timedelta(hours=5),
    }
    return JobStatus.model_validate(values | changes)


def plans(tick, *statuses, number=0, heard=True, ceilings_w=None, desk=None, **changes):
    desk, outlook = desk or JobDesk(), Outlook(Clock(step_seconds=300))
    for one in statuses:
        desk.heard(one)
    now = tick(number, **changes)
    if heard:
        outlook.hear(now)
    _, _, state = step(RegionMemory(), now, POLICY, SETTINGS)
    return list(desk.plans(now, state, outlook, POLICY, ceilings_w or {}, SETTINGS))


def test_a_job_with_a_deadline_has_a_plan_until_it_is_done(tick):
    (plan,) = plans(tick, status(tick))
    assert (plan.job, plan.origin, plan.step_seconds, plan.policy) == ("a", tick(0).interval_start, 300, "planner")
    assert plan.valid_until > tick(0).interval_end
    assert not plan.deadline_at_risk
    assert tick(0).interval_start + timedelta(hours=2) <= plan.expected_finish <= status(tick).deadline
    assert plan.expected_cost_usd > 0
    assert plan.expected_carbon_g > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"deadline": None},
        {"remaining_steps": None},
        {"remaining_steps": 0},
        {"state": RunState.ENDED},
        {"region": "elsewhere"},
        {"replay": Replay(run="r")},
    ],
)
def test_a_job_that_cannot_be_planned_is_left_to_the_state(tick, changes):
    assert plans(tick, status(tick, **changes)) == []


def test_a_job_that_has_ended_is_forgotten_and_one_that_was_silent_for_a_day_too(tick):
    assert plans(tick, status(tick), status(tick, state=RunState.ENDED)) == []
    late = status(tick, deadline=tick(0).interval_start + timedelta(days=9))
    assert len(plans(tick, late, number=287)) == 1
    assert plans(tick, late, number=289) == []


def test_a_replay_has_jobs_of_its_own(tick):
    replay = Replay(run="r", speed=60.0)
    (plan,) = plans(tick, status(tick), status(tick, job="b", replay=replay), replay=replay)
    assert (plan.job, plan.replay) == ("b", replay)


@pytest.mark.parametrize("changes", [{"step": 0}, {"work_seconds": 0.0}])
def test_a_job_of_unknown_pace_runs_at_full_power(tick, changes):
    (plan,) = plans(tick, status(tick, **changes))
    assert (plan.modes, plan.expected_cost_usd, plan.expected_finish) == ((1.0,), None, None)


def test_while_nobody_knows_a_price_it_runs_at_full_power(tick):
    (plan,) = plans(tick, status(tick), heard=False)
    assert (plan.modes, plan.expected_cost_usd, plan.deadline_at_risk) == ((1.0,), None, False)


def test_a_deadline_that_is_missed_already_is_told_and_full_power_is_what_is_left(tick):
    (plan,) = plans(tick, status(tick, deadline=tick(0).interval_start - timedelta(hours=1)))
    assert plan.deadline_at_risk
    assert set(plan.modes) == {1.0}
    assert plan.expected_finish == tick(0).interval_start + timedelta(hours=2)


def test_a_paused_job_counts_its_resume(tick):
    deadline = tick(0).interval_start + timedelta(hours=2)
    running, paused = (
        plans(tick, status(tick, state=state, deadline=deadline))[0].expected_finish
        for state in (RunState.RUNNING, RunState.PAUSED)
    )
    assert paused - running == timedelta(seconds=10)


def test_two_larger_boards_cost_what_they_draw(tick):
    (one,), (two,) = plans(tick, status(tick)), plans(tick, status(tick), ceilings_w={"a": [500.0, 500.0]})
    assert two.modes == one.modes
    assert two.expected_cost_usd == pytest.approx(4 * one.expected_cost_usd)


def test_whoever_falls_behind_is_given_more_time(tick):
    """Told to work all the hour, it does nothing: the next plans stop waiting for a cheaper hour."""
    desk, deadline = JobDesk(), tick(0).interval_start + timedelta(hours=4)
    assert plans(tick, status(tick, deadline=deadline), desk=desk)[0].modes[0] != "paused"
    before = desk.remaining("a", tick(1)).margin_seconds
    plans(tick, status(tick, deadline=deadline), number=1, desk=desk)
    assert desk.remaining("a", tick(1)).margin_seconds > before


def test_the_rest_of_a_plan_does_the_rest_of_the_work(tick):
    """Modes are fractions of the reference board's range; their speeds make up the work that is left."""
    (plan,) = plans(tick, status(tick))
    speed_of = {1.0: 1.0, 1 / 3: 0.981, 1 / 6: 0.849, 0.0: 0.641}
    done = sum(
        300 * min(speed_of.items(), key=lambda item, mode=mode: abs(item[0] - mode))[1]
        for mode in plan.modes
        if mode != "paused"
    )
    assert done == pytest.approx(7_200, abs=600)
    assert np.isfinite(done)
