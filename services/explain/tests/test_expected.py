"""When the state should change next, by the forecast."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, GridForecast, Pulse, Quantiles, Replay
from carbonshift.explain.expected import TOLD, Change, Expected, Lack, expected_change

NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
STEP = timedelta(minutes=5)
CHEAP, MIDDLE, DEAR, CRITICAL = 10.0, 60.0, 95.0, 150.0
"""Prices that make GREEN, AMBER, RED by the score, and RED by the hard limit, while carbon is as high as the price."""


@pytest.fixture
def change(transition):
    """Makes a change of state among trailing prices and carbon intensities from 0 to 100."""

    def make(state=Pulse.AMBER, **given):
        made = transition(state, "score_middle", **given)
        bands = dict.fromkeys(("price_low_usd_per_mwh", "carbon_low_g_per_kwh"), 0.0)
        bands |= dict.fromkeys(("price_high_usd_per_mwh", "carbon_high_g_per_kwh"), 100.0)
        return made.model_copy(update={"facts": made.facts.model_copy(update=bands)})

    return make


def forecast(*p50, p10=None, p90=None, carbon=None, origin=NOW + STEP, **changes):
    """Price and carbon alike in each step, all quantiles the same unless given."""

    def quantiles(middle):
        return Quantiles(p10=p10 or middle, p50=middle, p90=p90 or middle)

    values = {
        "region": "caiso",
        "origin": origin,
        "step_seconds": 300,
        "price_usd_per_mwh": quantiles(p50),
        "carbon_g_per_kwh": quantiles(carbon or p50),
        "carbon_basis": CarbonBasis.AVERAGE,
        "spike_probability": (),
        "spike_threshold_usd_per_mwh": 150.0,
        "price_models": {},
        "carbon_models": {},
        "skill": {},
        "degraded": False,
    }
    return GridForecast.model_validate(values | changes)


LATER, HIGH = (MIDDLE,) * 3, (DEAR,) * 3
"""AMBER, or RED, until the dwell of 15 minutes is over."""


def test_the_first_step_that_makes_another_state_is_the_change(change):
    assert expected_change(change(), forecast(*LATER, MIDDLE, CHEAP, DEAR)) == Expected(
        horizon=7 * STEP,
        change=Change(
            state=Pulse.GREEN, p50=NOW + 5 * STEP, p10=NOW + 5 * STEP, p90=NOW + 5 * STEP, price_usd_per_mwh=10
        ),
    )


def test_a_forecast_without_a_change_says_how_far_it_looks(change):
    assert expected_change(change(), forecast(MIDDLE, MIDDLE)) == Expected(horizon=3 * STEP, change=None)
    hourly = forecast(MIDDLE, MIDDLE, step_seconds=3_600)
    assert expected_change(change(), hourly).horizon == timedelta(hours=2, minutes=5)


def test_unknown_ends_when_the_signals_come_back_and_not_by_a_forecast(change):
    assert expected_change(change(Pulse.UNKNOWN), forecast(*LATER, CHEAP)) is None


def test_without_a_sound_forecast_nothing_is_expected(change):
    assert expected_change(change(), None) is None
    told = expected_change(change(), forecast(*LATER, CHEAP, degraded=True))
    assert (told.change, told.lack) == (None, Lack.DEGRADED)


@pytest.mark.parametrize(
    ("state", "outlook", "is_of_it"),
    [(None, None, True), ("r1", "r1", True), ("r1", None, False), (None, "r1", False), ("r1", "r2", False)],
)
def test_a_forecast_of_another_run_is_of_another_grid(change, state, outlook, is_of_it):
    state, outlook = (Replay(run=run) if run else None for run in (state, outlook))
    assert (expected_change(change(replay=state), forecast(*LATER, CHEAP, replay=outlook)) is not None) is is_of_it


@pytest.mark.parametrize(
    ("minutes", "is_of_it"), [(-61, False), (-60, True), (-5, True), (0, True), (5, True), (10, True), (11, False)]
)
def test_a_forecast_is_neither_an_hour_old_nor_does_it_know_what_came_after(change, minutes, is_of_it):
    told = forecast(*LATER, CHEAP, origin=NOW + timedelta(minutes=minutes))
    assert (expected_change(change(), told) is not None) is is_of_it


def test_an_hourly_grid_may_have_a_forecast_of_the_interval_before(change):
    hourly = change()
    hourly = hourly.model_copy(update={"state": hourly.state.model_copy(update={"interval_seconds": 7_200})})
    assert expected_change(hourly, forecast(MIDDLE, origin=NOW - timedelta(hours=2))) is not None


def test_another_carbon_basis_is_not_held_against_the_quantiles(change):
    assert expected_change(change(), forecast(*LATER, CHEAP, carbon_basis=CarbonBasis.MARGINAL)) is None


@pytest.mark.parametrize("name", sorted(TOLD))
def test_without_any_one_threshold_there_is_no_verdict(change, name):
    told = change()
    assert told.facts.thresholds.keys() >= TOLD
    rest = {key: value for key, value in told.facts.thresholds.items() if key != name}
    less = told.model_copy(update={"facts": told.facts.model_copy(update={"thresholds": rest})})
    told = expected_change(less, forecast(*LATER, CHEAP))
    assert (told.change, told.lack) == (None, Lack.OPEN)


def test_without_trailing_quantiles_there_is_no_verdict(transition):
    told = expected_change(transition(Pulse.AMBER), forecast(*LATER, CHEAP))
    assert (told.change, told.lack) == (None, Lack.OPEN)


def test_a_change_waits_for_the_dwell(change):
    """15 minutes from the beginning of the state."""
    assert expected_change(change(), forecast(*(CHEAP,) * 4)).change.p50 == NOW + 3 * STEP


def test_a_hard_limit_waits_for_nothing(change):
    assert expected_change(change(), forecast(CRITICAL)).change.p50 == NOW + STEP
    by_carbon = expected_change(change(), forecast(MIDDLE, carbon=(800.0,))).change
    assert (by_carbon.state, by_carbon.p50) == (Pulse.RED, NOW + STEP)


def test_the_interval_that_was_decided_is_no_change_to_come(change):
    """A forecast that was made before it has steps of the past."""
    early = forecast(CRITICAL, CRITICAL, MIDDLE, origin=NOW - STEP)
    assert expected_change(change(), early).change is None


@pytest.mark.parametrize(("state", "stays", "leaves"), [(Pulse.GREEN, 39.0, 41.0), (Pulse.RED, 76.0, 74.0)])
def test_green_and_red_are_left_a_little_later_than_they_are_entered(change, state, stays, leaves):
    """GREEN up to 0.35 and RED from 0.80, with a hysteresis of 0.05."""
    assert expected_change(change(state), forecast(*(stays,) * 4)).change is None
    assert expected_change(change(state), forecast(*(leaves,) * 4)).change.state is Pulse.AMBER


def test_what_is_above_its_optimum_is_not_green(change):
    """$40 and 250 g/kWh, whatever the score."""
    assert expected_change(change(), forecast(*(41.0,) * 4, carbon=(0.0,) * 4)).change is None


def test_the_quantiles_bound_when_the_same_change_may_come(change):
    spread = forecast(*(*HIGH, DEAR, CHEAP, CHEAP), p10=(*HIGH, CHEAP, CHEAP, CHEAP), p90=(*HIGH, DEAR, DEAR, CHEAP))
    told = expected_change(change(Pulse.RED), spread).change
    assert (told.state, told.p50, told.p10, told.p90) == (Pulse.GREEN, NOW + 5 * STEP, NOW + 4 * STEP, NOW + 6 * STEP)


def test_out_of_red_every_way_is_the_same_change(change):
    """Training may run again, in GREEN as in AMBER."""
    told = expected_change(
        change(Pulse.RED),
        forecast(*(*HIGH, DEAR, MIDDLE), p10=(*HIGH, CHEAP, CHEAP), p90=(*HIGH, DEAR, DEAR)),
    ).change
    assert (told.state, told.p10, told.p90) == (Pulse.AMBER, NOW + 4 * STEP, None)


def test_out_of_amber_there_are_two_ways_and_one_is_not_the_other(change):
    told = expected_change(
        change(), forecast(*LATER, MIDDLE, DEAR, p10=(*LATER, CHEAP, CHEAP), p90=(*LATER, DEAR, DEAR))
    ).change
    assert (told.state, told.p50, told.p10, told.p90) == (Pulse.RED, NOW + 5 * STEP, None, NOW + 4 * STEP)


@pytest.fixture
def amber(change):
    return change()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # one that nothing changes
@given(prices=st.lists(st.floats(-100, 300), min_size=1, max_size=12))
def test_whatever_is_forecast_the_change_lies_ahead_and_within_the_horizon(amber, prices):
    told = expected_change(amber, forecast(*prices, carbon=tuple(map(abs, prices))))
    assert told.horizon == (len(prices) + 1) * STEP
    if told.change:
        assert NOW < told.change.p50 < NOW + told.horizon
        assert told.change.p10 == told.change.p90 == told.change.p50
        assert told.change.state is not Pulse.AMBER
        assert told.change.price_usd_per_mwh in prices
