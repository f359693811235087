"""The trailing window: sorted copies that never drift from the values, nothing changed in place."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.decide.history import History

value = st.none() | st.floats(-100, 100, allow_nan=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # `tick` holds no state
@given(
    arrivals=st.lists(st.tuples(st.integers(0, 40), value, value.map(lambda v: v and abs(v))), max_size=60),
    window_intervals=st.integers(1, 30),
)
def test_any_order_of_arrival_gives_the_same_window(tick, arrivals, window_intervals):
    """Late, repeated, corrected: what counts is the last word on each interval of the window."""
    window_seconds = window_intervals * 300.0
    history, last_word = History(), {}
    for number, price, carbon in arrivals:
        newest = max([number, *last_word])
        if number > newest - window_intervals:
            last_word[number] = (price, carbon)
        last_word = {n: pair for n, pair in last_word.items() if n > newest - window_intervals}
        history = history.with_tick(tick(number, price, carbon), window_seconds)
    wanted = [last_word[number] for number in sorted(last_word)]
    prices = np.array([np.nan if pair[0] is None else pair[0] for pair in wanted])
    carbon = np.array([np.nan if pair[1] is None else pair[1] for pair in wanted])
    np.testing.assert_array_equal(history.prices_usd_per_mwh, prices)
    np.testing.assert_array_equal(history.carbon_g_per_kwh, carbon)
    np.testing.assert_array_equal(history.sorted_prices, np.sort(prices[~np.isnan(prices)]))
    np.testing.assert_array_equal(history.sorted_carbon, np.sort(carbon[~np.isnan(carbon)]))


def test_what_is_spoken_against_is_no_history(tick):
    history = History().with_tick(tick(0, 1.0, 1.0), 3_600)
    history = history.with_tick(tick(1, 2.0, 0.0, issues=("carbon_zero",)), 3_600)
    assert history.sorted_prices.tolist() == [1.0, 2.0]
    assert history.sorted_carbon.tolist() == [1.0]


def test_marginal_and_average_carbon_never_mix(tick):
    history = History().with_tick(tick(0, 1.0, 500.0), 3_600)
    history = history.with_tick(tick(1, 2.0, 200.0, carbon_basis=CarbonBasis.AVERAGE), 3_600)
    assert history.sorted_carbon.tolist() == [200.0]
    assert history.sorted_prices.tolist() == [1.0, 2.0]
    late = history.with_tick(tick(0, 1.0, 480.0), 3_600)  # a correction of before the change
    assert late.sorted_carbon.tolist() == [200.0]
    other_market = history.with_tick(
        tick(2, 9.0, 210.0, price_market=PriceMarket.DAY_AHEAD, carbon_basis=CarbonBasis.AVERAGE), 3_600
    )
    assert other_market.sorted_prices.tolist() == [9.0]


def test_an_older_history_stays_what_it_was(tick):
    before = History().with_tick(tick(0, 1.0, 1.0), 3_600)
    before.with_tick(tick(1, 2.0, 2.0), 3_600)
    assert before.prices_usd_per_mwh.tolist() == [1.0]


def test_a_hole_in_time_takes_with_it_all_that_has_left_the_window(tick):
    history = History()
    for number in (0, 1, 2, 3, 11):
        history = history.with_tick(tick(number, float(number), None if number == 1 else 1.0 + number), 2_700)
    assert history.starts.size == 2
    assert history.sorted_prices.tolist() == [3.0, 11.0]
    assert history.sorted_carbon.tolist() == [4.0, 12.0]
