"""What every registered policy keeps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, GridTick, Issue, PriceMarket, Pulse, Quality
from carbonshift.common.plugins import load_plugin, plugin_names
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policy import Verdict
from carbonshift.decide.settings import DecideSettings

GROUP = "carbonshift.policies"
START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = DecideSettings(warm_up_seconds=3_000)


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


def test_only_perfect_foresight_judges_nothing():
    refused = {}
    for name in plugin_names(GROUP):
        try:
            load_plugin(GROUP, name)(SETTINGS)
        except InputError as error:
            refused[name] = error.problem
    assert list(refused) == ["oracle"]
    assert "oracle" in refused["oracle"]


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
