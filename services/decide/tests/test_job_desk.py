"""The desk: which jobs are planned, and that a plan says what its job has to know."""

from datetime import timedelta

import numpy as np
import pytest

from carbonshift.common.events import DayAheadPrices, JobStatus, PriceMarket, Replay, RunState
from carbonshift.decide.job_desk import JobDesk
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.planning.margin import LEAST_MARGIN_SECONDS
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


def plans(tick, *statuses, number=0, heard=True, ceilings_w=None, desk=None, published=None, **changes):
    desk, outlook = desk or JobDesk(), Outlook(Clock(step_seconds=300))
    for one in statuses:
        desk.heard(one)
    now = tick(number, **changes)
    if heard:
        outlook.hear(now)
    if published:
        outlook.hear_published(published)
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


@pytest.mark.parametrize("changes", [{"step": 0}, {"work_seconds": 0.0}, {"remaining_steps": None}])
def test_a_job_of_unknown_pace_or_work_runs_at_full_power(tick, changes):
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


def test_what_was_learnt_of_a_job_that_has_ended_is_forgotten_with_it(tick):
    """A later job of the same name has broken no promise yet."""
    desk, deadline = JobDesk(), tick(0).interval_start + timedelta(hours=4)
    for number in range(3):
        plans(tick, status(tick, deadline=deadline), number=number, desk=desk)
    slow = desk.remaining("a", tick(3)).margin_seconds
    desk.heard(status(tick, state=RunState.ENDED))
    assert desk.remaining("a", tick(3)) is None
    desk.heard(status(tick, deadline=deadline))
    assert desk.remaining("a", tick(3)).margin_seconds < slow


def test_an_interval_planned_again_teaches_nothing_twice(tick):
    """A tick that is redelivered is planned again: nothing has been done since, and nothing could have been."""
    desk, deadline = JobDesk(), tick(0).interval_start + timedelta(hours=4)
    first = plans(tick, status(tick, deadline=deadline), desk=desk)
    again = plans(tick, status(tick, deadline=deadline), desk=desk)
    assert again == first
    assert desk.remaining("a", tick(0)).margin_seconds == LEAST_MARGIN_SECONDS


def test_whoever_does_what_was_promised_is_given_no_more_time(tick):
    desk, deadline = JobDesk(), tick(0).interval_start + timedelta(hours=40)
    work_seconds, speed_of = 3_600.0, {1.0: 1.0, 1 / 3: 0.981, 1 / 6: 0.849, 0.0: 0.641, "paused": 0.0}
    for number in range(10):
        told = status(
            tick,
            observed_at=tick(number).interval_start,
            deadline=deadline,
            work_seconds=work_seconds,
            step=int(work_seconds * 1_000),
            remaining_steps=int((20_000 - work_seconds) * 1_000),
        )
        (plan,) = plans(tick, told, number=number, desk=desk)
        work_seconds += 300 * next(speed for mode, speed in speed_of.items() if mode == pytest.approx(plan.modes[0]))
    assert desk.remaining("a", tick(10)).margin_seconds == pytest.approx(LEAST_MARGIN_SECONDS, abs=1.0)


@pytest.mark.parametrize("changes", [{"step": 0}, {"work_seconds": 0.0}])
def test_a_deadline_within_the_interval_is_at_risk_while_the_pace_is_not_known(tick, changes):
    end = tick(0).interval_end
    for deadline, at_risk in ((end - timedelta(seconds=1), True), (end + timedelta(hours=1), False)):
        (plan,) = plans(tick, status(tick, deadline=deadline, **changes))
        assert plan.deadline_at_risk is at_risk


def test_jobs_of_one_region_do_not_touch_one_another(tick):
    late = status(tick, job="b", deadline=tick(0).interval_start + timedelta(minutes=1))
    both = plans(tick, status(tick), late)
    assert both == [*plans(tick, status(tick)), *plans(tick, late)]
    assert [plan.deadline_at_risk for plan in both] == [False, True]


def test_the_latest_status_of_a_job_is_the_one_that_counts(tick):
    (plan,) = plans(tick, status(tick), status(tick, step=200, work_seconds=7_200.0, remaining_steps=100))
    (half,) = plans(tick, status(tick, step=200, work_seconds=7_200.0, remaining_steps=100))
    assert plan == half
    assert plan.expected_cost_usd < plans(tick, status(tick))[0].expected_cost_usd


def test_a_job_is_known_in_its_own_region_and_replay_alone(tick):
    desk, replay = JobDesk(), Replay(run="r")
    desk.heard(status(tick))
    assert desk.remaining("a", tick(0)).job.work_seconds == 7_200.0
    assert desk.remaining("a", tick(0, region="elsewhere")) is None
    assert desk.remaining("a", tick(0, replay=replay)) is None
    desk.heard(status(tick, replay=replay, state=RunState.ENDED))
    assert desk.remaining("a", tick(0)) is not None


@pytest.mark.parametrize("ceilings_w", [{}, {"a": []}, {"a": [0.0]}, {"b": [500.0]}])
def test_of_boards_of_which_nothing_is_known_it_plans_one_reference_board(tick, ceilings_w):
    assert plans(tick, status(tick), ceilings_w=ceilings_w) == plans(tick, status(tick), ceilings_w={"a": [250.0]})


def test_a_job_waits_for_the_cheap_hours_that_are_published(tick):
    """In steps of five minutes as in hours: two dear hours parked, the two cheap ones after them of work."""
    published = DayAheadPrices(
        region="caiso",
        published_at=tick(0).interval_start - timedelta(hours=11),
        step_seconds=3_600,
        first_interval_start=tick(0).interval_start,
        prices_usd_per_mwh=(400.0, 400.0, 10.0, 10.0, 400.0, 400.0),
    )
    cheap = tick(24).interval_start
    (plan,) = plans(tick, status(tick), published=published, price=400.0, price_market=PriceMarket.DAY_AHEAD)
    assert plan.modes[:23] == ("paused",) * 23
    assert "paused" not in plan.modes[24:]
    assert cheap + timedelta(hours=2) <= plan.expected_finish <= cheap + timedelta(hours=2.5)
    assert not plan.deadline_at_risk
    (unaware,) = plans(tick, status(tick), price=400.0, price_market=PriceMarket.DAY_AHEAD)
    assert unaware.modes[0] != "paused"


@pytest.mark.parametrize("late_seconds", [0, 300, 720, 1_800])
def test_a_live_plan_begins_with_the_interval_that_is_running_when_its_tick_is_heard(tick, late_seconds):
    """And is in time, as a worker reads it: the modes before the tick was heard are no use to anybody."""
    speed_of = {1.0: 1.0, 1 / 3: 0.981, 1 / 6: 0.849, 0.0: 0.641, "paused": 0.0}
    start, desk, done, running = tick(0).interval_start, JobDesk(), 0.0, True
    outlook, deadline_seconds, held = Outlook(Clock(step_seconds=300)), 4.2 * 3_600, []
    for second in range(0, 6 * 3_600, 60):
        moment = start + timedelta(seconds=second)
        number, odd = divmod(second - late_seconds, 300)
        if not odd and number >= 0:
            desk.heard(
                status(
                    tick,
                    observed_at=moment,
                    state=RunState.RUNNING if running else RunState.PAUSED,
                    step=1_000 + int(done),
                    work_seconds=1_000.0 + done,
                    remaining_steps=max(int(7_200 - done), 0),
                    deadline=start + timedelta(seconds=deadline_seconds),
                )
            )
            price = 90.0 if number < 36 else 20.0  # dear first: it waits for as long as it may
            now = tick(number, price, observed_at=moment)
            outlook.hear(now)
            _, _, state = step(RegionMemory(), now, POLICY, SETTINGS)
            held = list(desk.plans(now, state, outlook, POLICY, {}, SETTINGS)) or held
        if held:
            at = int((moment - held[-1].origin).total_seconds() // held[-1].step_seconds)
            assert at >= 0
            mode = held[-1].modes[min(at, len(held[-1].modes) - 1)]
            speed = next(speed for power, speed in speed_of.items() if power == pytest.approx(mode))
            done += speed * (60.0 - (0.0 if running or not speed else 10.0))
            running = speed > 0
        if done >= 7_200:
            break
    assert done >= 7_200
    assert second + 60 <= deadline_seconds


@pytest.mark.parametrize(
    "changes",
    [
        {"remaining_steps": 10**15},
        {"remaining_steps": 10**8},
        {"remaining_steps": 100_000, "deadline": timedelta(days=60)},
        {"deadline": timedelta(days=365)},
        {"deadline": timedelta(days=27_000)},
    ],
)
def test_a_job_beyond_all_measure_has_a_plan_of_a_size_that_can_be_sent(tick, changes):
    if "deadline" in changes:
        changes = changes | {"deadline": tick(0).interval_start + changes["deadline"]}
    (plan,) = plans(tick, status(tick, **changes))
    assert len(plan.model_dump_json()) < 200_000
    assert plan.deadline_at_risk == ("deadline" not in changes)


def test_a_late_job_is_known_to_be_at_risk_before_any_price_is(tick):
    soon = status(tick, deadline=tick(0).interval_start + timedelta(minutes=30))
    (plan,) = plans(tick, soon, heard=False)
    assert plan.deadline_at_risk
    assert plan.expected_finish == tick(0).interval_start + timedelta(hours=2)
