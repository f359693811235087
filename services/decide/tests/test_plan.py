"""The plan: it begins as was chosen, and what it says of cost, carbon and completion is what its modes do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.planning.choice import PARKED_MODE, choose_modes
from carbonshift.decide.planning.job import Device, Job, SwitchCosts
from carbonshift.decide.planning.outlook import Ahead
from carbonshift.decide.planning.plan import plan_on, situation_of
from carbonshift.decide.planning.seasonal import Clock

V100 = Device.of(RESNET18_V100)
ONE_MODE = Device(limits_w=(250.0,), draws_w=(200.0,), speeds=(1.0,), parked_w=40.0)
SWITCHES = SwitchCosts()
HOUR, J_PER_KWH, J_PER_MWH = 3_600.0, 3.6e6, 3.6e9
HOURLY, FIVE_MINUTES = Clock(step_seconds=3_600), Clock(step_seconds=300)
steps = st.sampled_from([HOURLY, FIVE_MINUTES])
prices = st.lists(st.floats(-50, 300), min_size=1, max_size=30)


def ahead_of(values, clock=HOURLY, carbon=300.0):
    """The price now and those of the stages after it, the last one for ever; `carbon` likewise, or one for all."""
    carbon = np.broadcast_to(carbon, np.shape(values) if np.ndim(carbon) == 0 else np.shape(carbon))

    def later(known):
        return np.array([known[min(number, len(known) - 1)] for number in range(1, clock.stages + 1)])

    return Ahead(float(values[0]), float(carbon[0]), later(values)[:, None], later(carbon))


def planned(ahead, job, mode=None, *, device=V100, clock=HOURLY):
    """With the mode that the planner chooses where none is given."""
    situation = situation_of(ahead, job, 36.0, clock, 0.0)
    if mode is None:
        stage_seconds = float(clock.stage * clock.step_seconds)
        mode = int(choose_modes(situation, device, SWITCHES, float(clock.step_seconds), stage_seconds)[0])
    return mode, plan_on(mode, ahead, job, situation, device, SWITCHES, clock)


@st.composite
def jobs(draw, least_slack=0.0):
    work_seconds = draw(st.floats(0.05, 30)) * HOUR
    running = draw(st.booleans())
    needed = work_seconds + (0.0 if running else SWITCHES.resume_seconds)
    slack = draw(st.sampled_from([least_slack]) | st.floats(least_slack, 3))
    return Job(work_seconds=work_seconds, deadline_seconds=needed * (1 + slack), running=running)


@settings(max_examples=40)
@given(values=prices, job=jobs(), clock=steps)
def test_it_begins_with_the_chosen_mode_and_is_in_time_where_the_job_can_be(values, job, clock):
    mode, plan = planned(ahead_of(values, clock), job, clock=clock)
    assert plan.modes[0] == mode
    assert set(plan.modes.tolist()) <= {PARKED_MODE, *range(len(V100.speeds))}
    assert not plan.at_risk
    assert plan.finish_seconds <= job.deadline_seconds
    assert abs(plan.modes.size * clock.step_seconds - plan.finish_seconds) <= clock.step_seconds


@settings(max_examples=40)
@given(values=prices, job=jobs(), clock=steps, mode=st.integers(PARKED_MODE, len(V100.speeds) - 1))
def test_whatever_was_chosen_it_takes_at_least_the_time_and_the_energy_that_the_work_takes(values, job, clock, mode):
    """And of carbon at one intensity just that of its energy."""
    _, plan = planned(ahead_of(values, clock), job, mode, clock=clock)
    energy_j = plan.carbon_g / 300.0 * J_PER_KWH
    least_j_per_work = min(draw / speed for draw, speed in zip(V100.draws_w, V100.speeds, strict=True))
    assert plan.modes[0] == mode
    assert plan.finish_seconds >= job.work_seconds * (1 - 1e-9)
    assert energy_j >= job.work_seconds * least_j_per_work * (1 - 1e-9)
    assert energy_j <= plan.finish_seconds * max(V100.draws_w) * (1 + 1e-9)
    low, high = min(values), max(values)
    assert low * energy_j / J_PER_MWH - 1e-9 <= plan.cost_usd <= high * energy_j / J_PER_MWH + 1e-9


@settings(max_examples=40)
@given(price=st.floats(1, 300), intensity=st.floats(1, 900), job=jobs(), clock=steps)
def test_at_one_price_cost_and_carbon_are_those_of_one_energy(price, intensity, job, clock):
    _, plan = planned(ahead_of([price], clock, intensity), job, clock=clock)
    assert plan.cost_usd / price * J_PER_MWH == pytest.approx(plan.carbon_g / intensity * J_PER_KWH, rel=1e-9)


@settings(max_examples=40)
@given(
    values=st.lists(st.floats(-50, 300), min_size=6, max_size=6), work_hours=st.floats(1.1, 5.9), running=st.booleans()
)
def test_without_time_to_spare_each_hour_costs_what_full_power_draws(values, work_hours, running):
    resume = 0.0 if running else SWITCHES.resume_seconds
    seconds = work_hours * HOUR + resume
    carbon = [100.0 + 50 * number for number in range(6)]
    job = Job(work_seconds=work_hours * HOUR, deadline_seconds=seconds, running=running)
    mode, plan = planned(ahead_of(values, carbon=carbon), job, device=ONE_MODE)
    watt_seconds = [200.0 * min(max(seconds - number * HOUR, 0.0), HOUR) for number in range(6)]
    assert mode == 0
    assert set(plan.modes.tolist()) == {0}
    assert plan.finish_seconds == pytest.approx(seconds)
    assert plan.cost_usd == pytest.approx(np.dot(watt_seconds, values) / J_PER_MWH, abs=1e-9)
    assert plan.carbon_g == pytest.approx(np.dot(watt_seconds, carbon) / J_PER_KWH)


def test_what_is_done_within_the_interval_is_all_of_the_plan():
    """Ten minutes of work: a resume before it, and the draw of both at the price now, whatever comes later."""
    job = Job(work_seconds=600.0, deadline_seconds=9 * HOUR, running=False)
    _, plan = planned(ahead_of([40.0, 900.0]), job, 0, device=ONE_MODE)
    assert plan.modes.tolist() == [0]
    assert plan.finish_seconds == 610.0
    assert plan.cost_usd == pytest.approx(610.0 * 200.0 * 40.0 / J_PER_MWH)
    assert plan.carbon_g == pytest.approx(610.0 * 200.0 * 300.0 / J_PER_KWH)


@pytest.mark.parametrize("clock", [HOURLY, FIVE_MINUTES], ids=["hours", "five minutes"])
@pytest.mark.parametrize("last_seconds", [10.0, 100.0, 299.0])
def test_a_plan_ends_working_however_short_its_last_step(last_seconds, clock):
    """Whoever hears no newer plan goes on with the last mode: parked, it would leave the rest of the work undone."""
    work_seconds = 2 * HOUR + last_seconds
    for slack_seconds in (0.0, 3 * HOUR):
        job = Job(work_seconds=work_seconds, deadline_seconds=work_seconds + slack_seconds)
        _, plan = planned(ahead_of([50.0], clock), job, 0, device=ONE_MODE, clock=clock)
        assert plan.modes[-1] == 0
        assert abs(plan.modes.size * clock.step_seconds - work_seconds) <= clock.step_seconds


def test_waiting_costs_a_pause_parked_watts_and_a_resume():
    """A dear hour now, a cheap one in two hours: two hours parked in between, one of work at the end."""
    job = Job(work_seconds=3_000.0, deadline_seconds=3 * HOUR)
    mode, plan = planned(ahead_of([400.0, 400.0, 10.0]), job, device=ONE_MODE)
    assert mode == PARKED_MODE
    assert plan.modes.tolist() == [PARKED_MODE, PARKED_MODE, 0]
    assert plan.finish_seconds == pytest.approx(2 * HOUR + 10 + 3_000)
    dear_j = 2 * 200.0 + (2 * HOUR - 2) * 40.0
    cheap_j = 3_010 * 200.0
    assert plan.cost_usd == pytest.approx((400.0 * dear_j + 10.0 * cheap_j) / J_PER_MWH, rel=1e-6)
    assert plan.carbon_g == pytest.approx(300.0 * (dear_j + cheap_j) / J_PER_KWH, rel=1e-6)


@settings(max_examples=12)
@given(values=prices, job=jobs(least_slack=0.5))
def test_no_other_beginning_is_planned_to_be_much_cheaper_than_the_chosen_one(values, job):
    """By the plans' own account: a choice looks ahead on a grid of sixths of an hour, so a little may be left."""
    ahead = ahead_of(values)
    _, chosen = planned(ahead, job)
    others = [planned(ahead, job, mode)[1] for mode in range(PARKED_MODE, len(V100.speeds))]
    least = min(plan.cost_usd for plan in others if not plan.at_risk)
    dearest = np.abs(values).max() * max(V100.draws_w) / J_PER_MWH
    assert chosen.cost_usd <= least + dearest * HOUR


@pytest.mark.parametrize("clock", [HOURLY, FIVE_MINUTES], ids=["hours", "five minutes"])
@pytest.mark.parametrize("deadline_seconds", [-90_000.0, 0.0, 100.0, 7_000.0])
def test_a_deadline_that_cannot_be_kept_is_told_and_the_plan_is_full_power(deadline_seconds, clock):
    job = Job(work_seconds=2 * HOUR, deadline_seconds=deadline_seconds)
    mode, plan = planned(ahead_of([500.0, 1.0], clock), job, clock=clock)
    assert mode == V100.full
    assert plan.at_risk
    assert set(plan.modes.tolist()) == {V100.full}
    assert plan.finish_seconds == pytest.approx(2 * HOUR)


@settings(max_examples=40)
@given(values=prices, job=jobs(), clock=steps)
def test_a_beginning_that_spends_the_time_there_was_is_told_to_be_a_risk(values, job, clock):
    """Parked although no second could be spared."""
    tight = Job(work_seconds=job.work_seconds, deadline_seconds=job.work_seconds + 10.0, running=job.running)
    _, plan = planned(ahead_of(values, clock), tight, PARKED_MODE, clock=clock)
    assert plan.at_risk
    assert plan.finish_seconds == pytest.approx(clock.step_seconds + SWITCHES.resume_seconds + job.work_seconds)


@pytest.mark.parametrize("work_days", [4, 11.3])
@pytest.mark.parametrize("slack", [0.0, 0.37])
def test_a_job_of_more_days_than_are_looked_ahead_is_planned_to_its_end(work_days, slack):
    work_seconds = work_days * 86_400
    job = Job(work_seconds=work_seconds, deadline_seconds=work_seconds * (1 + slack))
    _, plan = planned(ahead_of([50.0 + 30 * np.sin(number / 4) for number in range(80)]), job)
    assert not plan.at_risk
    assert work_seconds <= plan.finish_seconds * (1 + 1e-9)
    assert plan.finish_seconds <= job.deadline_seconds
    assert np.isfinite([plan.cost_usd, plan.carbon_g]).all()


@pytest.mark.parametrize("running", [True, False])
def test_its_situation_is_the_job_at_the_beginning_of_the_interval(running):
    job = Job(work_seconds=5e5, deadline_seconds=200 * HOUR, usd_per_gpu_hour=3.6, running=running)
    ahead = ahead_of([50.0 + number for number in range(HOURLY.stages + 1)])
    situation = situation_of(ahead, job, 99.0, HOURLY, 100.0)
    assert situation.rest_seconds == 199 * HOUR
    assert situation.unit_costs.shape[1] * HOUR >= situation.rest_seconds
    assert situation.unit_costs_now[0] == pytest.approx(50.0 / J_PER_MWH + 300.0 / 1e6 * 100.0 / J_PER_KWH)
    assert situation.unit_costs[0, :3, 0] * J_PER_MWH == pytest.approx([51.0 + 30, 52.0 + 30, 53.0 + 30])
    assert (situation.work_seconds[0], situation.margin_seconds[0], bool(situation.running[0])) == (5e5, 99.0, running)
    assert situation.usd_per_second[0] == pytest.approx(1e-3)
