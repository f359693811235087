"""What is remembered of a region."""

from datetime import timedelta

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, PriceMarket, Replay
from carbonshift.forecast.memory import Memory

WINDOW_SECONDS = 20 * 300


def remembered(*ticks):
    memory = Memory.of(ticks[0], WINDOW_SECONDS)
    for tick in ticks[1:]:
        assert memory.continues(tick)
        memory = memory.with_tick(tick)
    return memory


def prices(*ticks):
    return remembered(*ticks).history().price_usd_per_mwh.tolist()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3), st.none() | st.floats(-90, 900)),
        min_size=1,
        max_size=30,
        unique_by=lambda one: one[:2],
    ),
    random=st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_changes_nothing(tick, told, random):
    ticks = [tick(number, price, revision=revision) for number, revision, price in told]
    shuffled = random.sample(ticks, len(ticks))
    one, other = remembered(*ticks), remembered(*shuffled)
    assert one.end == other.end
    np.testing.assert_array_equal(one.prices_usd_per_mwh, other.prices_usd_per_mwh)
    np.testing.assert_array_equal(one.carbon_g_per_kwh, other.carbon_g_per_kwh)
    np.testing.assert_array_equal(one.history().price_usd_per_mwh, other.history().price_usd_per_mwh)


def test_the_window_ends_with_the_newest_interval_and_is_no_longer_than_it_may_be(tick):
    history = remembered(*(tick(n, float(n)) for n in range(30))).history()
    assert history.origin == tick(29).interval_end
    assert history.price_usd_per_mwh.tolist() == [float(n) for n in range(10, 30)]


def test_an_interval_nobody_told_of_is_a_gap(tick):
    np.testing.assert_array_equal(prices(tick(0, 1.0), tick(3, 4.0)), [1.0, np.nan, np.nan, 4.0])


def test_a_jump_past_the_window_forgets_all_before(tick):
    assert prices(tick(0, 1.0), tick(400, 4.0)) == [4.0]


def test_a_late_correction_takes_the_place_of_its_interval(tick):
    assert prices(tick(0, 1.0), tick(1, 2.0), tick(0, 9.0, revision=1)) == [9.0, 2.0]


def test_what_was_corrected_does_not_come_back(tick):
    assert prices(tick(0, 9.0, revision=1), tick(0, 1.0)) == [9.0]


def test_a_correction_of_what_has_left_the_window_is_dropped(tick):
    assert prices(tick(0, 1.0), tick(25, 2.0), tick(0, 9.0, revision=1)) == [2.0]


def test_a_flagged_tick_teaches_nothing(tick):
    np.testing.assert_array_equal(prices(tick(0, 1.0), tick(1, 9_000.0, issues=("unit_jump",))), [1.0, np.nan])


def test_another_run_another_step_or_another_phase_does_not_continue(tick):
    memory = remembered(tick(0))
    assert memory.continues(tick(1))
    assert not memory.continues(tick(1, replay=Replay(run="r1")))
    assert not memory.continues(tick(1, interval_seconds=900))
    assert not memory.continues(tick(1, interval_start=tick(1).interval_start + timedelta(seconds=1)))


def test_marginal_and_average_carbon_never_mix(tick):
    memory = remembered(tick(0), tick(1), tick(2, 30.0, 200.0, carbon_basis=CarbonBasis.AVERAGE))
    assert memory.carbon_basis is CarbonBasis.AVERAGE
    np.testing.assert_array_equal(memory.history().carbon_g_per_kwh, [np.nan, np.nan, 200.0])
    assert memory.history().price_usd_per_mwh.tolist() == [30.0, 30.0, 30.0]
    late = memory.with_tick(tick(1, 31.0, 300.0, revision=1))
    np.testing.assert_array_equal(late.history().carbon_g_per_kwh, [np.nan, np.nan, 200.0])


def test_prices_of_two_markets_never_mix(tick):
    memory = remembered(tick(0), tick(1), tick(2, 40.0, price_market=PriceMarket.DAY_AHEAD))
    assert memory.history().price_market is PriceMarket.DAY_AHEAD
    np.testing.assert_array_equal(memory.history().price_usd_per_mwh, [np.nan, np.nan, 40.0])
    assert memory.history().carbon_g_per_kwh.tolist() == [300.0, 300.0, 300.0]
    late = memory.with_tick(tick(1, 31.0, revision=1))
    np.testing.assert_array_equal(late.history().price_usd_per_mwh, [np.nan, np.nan, 40.0])


def test_what_is_remembered_cannot_be_changed_in_place(tick):
    history = remembered(tick(0), tick(1)).history()
    assert not history.price_usd_per_mwh.flags.writeable
    assert not history.carbon_g_per_kwh.flags.writeable
