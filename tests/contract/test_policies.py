"""What every registered policy keeps."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, GridTick, Issue, PriceMarket, Pulse, Quality
from carbonshift.common.plugins import load_plugin, plugin_names
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.planning.choice import PARKED_MODE, Situation
from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.seasonal import Clock
from carbonshift.decide.policy import JobPolicy, Verdict
from carbonshift.decide.settings import DecideSettings

GROUP = "carbonshift.policies"
START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = DecideSettings(warm_up_seconds=3_000)
DEVICE, SWITCHES, HOUR = Device.of(RESNET18_V100), SwitchCosts(), 3_600.0


@pytest.fixture(params=plugin_names(GROUP))
def policy(request):
    """A policy judges, or says as it is made that it cannot."""
    try:
        return load_plugin(GROUP, request.param)(SETTINGS)
    except InputError as refused:
        pytest.skip(str(refused))


def ticks(pairs, issues=()):
    for number, (price, carbon) in enumerate(pairs):
        start = START + timedelta(minutes=5 * number)
        yield GridTick(
            region="caiso",
            interval_start=start,
            interval_seconds=300,
            price_usd_per_mwh=price,
            carbon_g_per_kwh=carbon,
            carbon_basis=CarbonBasis.AVERAGE,
            price_quality=Quality.MISSING if price is None else Quality.OBSERVED,
            carbon_quality=Quality.MISSING if carbon is None else Quality.OBSERVED,
            price_market=PriceMarket.REAL_TIME,
            price_source="test",
            carbon_source="test",
            observed_at=start,
            issues=issues,
        )


def decided(policy, pairs):
    memory, states = RegionMemory(), []
    for tick in ticks(pairs):
        memory, _, state = step(memory, tick, policy, SETTINGS)
        states.append(state)
    return states


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    pairs=st.lists(st.tuples(st.none() | st.floats(-90, 9_000), st.none() | st.floats(0, 900)), min_size=1, max_size=60)
)
def test_it_judges_whatever_comes_and_twice_alike(policy, pairs):
    states = decided(policy, pairs)
    assert states == decided(policy, pairs)
    for (price, carbon), state in zip(pairs, states, strict=True):
        assert state.policy == policy.name
        assert state.reasons
        assert state.state is not Pulse.GREEN or None not in {price, carbon}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    pairs=st.lists(st.tuples(st.floats(-90, 90), st.floats(0, 900)), min_size=1, max_size=60),
    issue=st.sampled_from([*Issue, "another"]),
)
def test_what_is_spoken_against_is_never_green(policy, pairs, issue):
    memory = RegionMemory()
    for tick in ticks(pairs, issues=(issue,)):
        memory, _, state = step(memory, tick, policy, SETTINGS)
        assert state.state is not Pulse.GREEN


@pytest.mark.parametrize("name", plugin_names(GROUP))
def test_it_judges_or_says_as_it_is_made_that_it_cannot_and_what_to_do(name):
    """Before the first tick: whoever starts decide with it reads which policy it is, and what to take instead."""
    refused = None
    try:
        policy = load_plugin(GROUP, name)(SETTINGS)
    except InputError as error:
        refused = error
    if refused:
        assert name in refused.problem
        assert refused.remedy
    else:
        assert policy.name == name
        assert decided(policy, [(30.0, 300.0)])
    assert (refused is not None) == (name == "oracle")


@st.composite
def situations(draw, step_seconds):
    """Jobs with all kinds of time to spare, or with none; the rest is at random."""
    jobs = draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rest_seconds = draw(st.floats(-7_200, 30_000))
    stages = int(max(rest_seconds, 0.0) // HOUR) + 1
    highest = draw(st.sampled_from([1e-9, 1e-7, 1e-5]))
    lowest = draw(st.sampled_from([0.0, -1.0])) * highest
    room = np.maximum(rest_seconds + step_seconds, 600.0)
    return Situation(
        work_seconds=random.uniform(0.01, 1.5, jobs) * room,
        running=random.random(jobs) < 0.5,
        unit_costs_now=random.uniform(lowest, highest, jobs),
        unit_costs=random.uniform(lowest, highest, (jobs, stages, draw(st.sampled_from([1, 5])))),
        rest_seconds=rest_seconds,
        margin_seconds=random.uniform(36, 3_600, jobs),
        usd_per_second=random.choice([0.0, 1e-5], jobs),
    )


@pytest.fixture(params=[name for name in plugin_names(GROUP) if hasattr(load_plugin(GROUP, name), "choose")])
def planning(request):
    """Of the policies those that plan jobs."""
    policy = load_plugin(GROUP, request.param)(SETTINGS)
    assert isinstance(policy, JobPolicy)
    return policy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data(), step_seconds=st.sampled_from([300, 3_600]))
def test_each_job_is_told_a_mode_of_its_board_twice_alike_and_full_power_where_there_is_no_time(
    planning, data, step_seconds
):
    situation, clock = data.draw(situations(step_seconds)), Clock(step_seconds=step_seconds)
    modes = planning.choose(situation, DEVICE, SWITCHES, clock)
    assert modes.shape == situation.work_seconds.shape
    assert modes.dtype.kind == "i"
    assert set(modes.tolist()) <= {PARKED_MODE, *range(len(DEVICE.speeds))}
    assert modes.tolist() == planning.choose(situation, DEVICE, SWITCHES, clock).tolist()
    late = situation.work_seconds >= situation.rest_seconds + step_seconds
    assert (modes[late] == DEVICE.full).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    costs=st.lists(st.floats(-1e-7, 1e-6), min_size=1, max_size=25),
    work_seconds=st.floats(60, 15_000),
    spare_seconds=st.floats(36, 20_000),
    running=st.booleans(),
    step_seconds=st.sampled_from([900, 3_600]),
)
def test_a_deadline_that_can_be_kept_is_kept(planning, costs, work_seconds, spare_seconds, running, step_seconds):
    """Step by step, with a forecast that has the same hours in another order."""
    clock, left, now = Clock(step_seconds=step_seconds), work_seconds, 0.0
    deadline = work_seconds + (0.0 if running else SWITCHES.resume_seconds) + spare_seconds
    while True:
        rest_seconds = deadline - now - step_seconds
        stages = int(max(rest_seconds, 0.0) // HOUR) + 1
        situation = Situation(
            work_seconds=np.array([left]),
            running=np.array([running]),
            unit_costs_now=np.array([costs[int(now // step_seconds) % len(costs)]]),
            unit_costs=np.resize(costs[::-1], (1, stages, 1)),
            rest_seconds=rest_seconds,
            margin_seconds=np.array([36.0]),
            usd_per_second=np.zeros(1),
        )
        mode = int(planning.choose(situation, DEVICE, SWITCHES, clock)[0])
        lost = SWITCHES.resume_seconds if mode != PARKED_MODE and not running else 0.0
        speed = DEVICE.speeds[mode] if mode != PARKED_MODE else 0.0
        if left <= speed * (step_seconds - lost) * (1 + 1e-12):
            break
        left, running, now = left - speed * (step_seconds - lost), mode != PARKED_MODE, now + step_seconds
        assert now < deadline
    assert now + lost + left / speed <= deadline * (1 + 1e-9)


class Hopeful:
    """A policy that believes anything."""

    name = "hopeful"

    def judge(self, history, tick, previous):
        return Verdict(state=Pulse.GREEN, reasons=("why_not",))


def test_not_even_a_policy_that_believes_anything_makes_green_of_it():
    sound, flagged, missing = (
        step(RegionMemory(), tick, Hopeful(), SETTINGS)[2]
        for tick in (*ticks([(1.0, 1.0)]), *ticks([(1.0, 1.0)], issues=("carbon_zero",)), *ticks([(None, 1.0)]))
    )
    assert (sound.state, flagged.state, missing.state) == (Pulse.GREEN, Pulse.UNKNOWN, Pulse.UNKNOWN)
    assert flagged.reasons == ("tick_flagged", "carbon_zero")
