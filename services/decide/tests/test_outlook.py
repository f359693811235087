"""The outlook: what is published is known, what is not is expected, and nothing mixes."""

from datetime import timedelta

import numpy as np
import pytest

from carbonshift.common.events import CarbonBasis, DayAheadPrices, PriceMarket
from carbonshift.decide.planning.outlook import Outlook
from carbonshift.decide.planning.seasonal import Clock

HOURLY = Clock(step_seconds=3_600)


def an_hour(tick, hour, price=50.0, carbon=300.0, **changes):
    values = {"interval_seconds": 3_600, "price_market": PriceMarket.DAY_AHEAD} | changes
    return tick(12 * hour, price, carbon, **values)


def published(tick, first, prices, **changes):
    start = tick(12 * first).interval_start
    values = {
        "region": "caiso",
        "published_at": start - timedelta(hours=11),
        "step_seconds": 3_600,
        "first_interval_start": start,
        "prices_usd_per_mwh": tuple(prices),
    }
    return DayAheadPrices.model_validate(values | changes)


def heard(tick, hours=48, clock=HOURLY, **changes):
    outlook = Outlook(clock)
    for hour in range(hours):
        outlook.hear(an_hour(tick, hour, 50.0 + 20 * np.sin(hour / 4), 300.0 + hour % 24, **changes))
    return outlook


def test_published_prices_are_known_for_their_hours_and_expected_beyond(tick):
    outlook = heard(tick)
    without = outlook.ahead()
    outlook.hear_published(published(tick, 48, [90.0 + n for n in range(24)]))
    ahead = outlook.ahead()
    assert ahead.prices_usd_per_mwh[:24, 0].tolist() == [90.0 + n for n in range(24)]
    assert np.isfinite(ahead.prices_usd_per_mwh).all()
    assert ahead.prices_usd_per_mwh.shape == without.prices_usd_per_mwh.shape
    assert ahead.carbon_g_per_kwh.tolist() == without.carbon_g_per_kwh.tolist()
    assert (ahead.price_now_usd_per_mwh, ahead.carbon_now_g_per_kwh) == (50.0 + 20 * np.sin(47 / 4), 323.0)


def test_what_was_known_stays_known_as_its_hours_come(tick):
    outlook = heard(tick)
    outlook.hear_published(published(tick, 48, [90.0 + n for n in range(24)]))
    outlook.hear(an_hour(tick, 48, 90.0))
    assert outlook.ahead().prices_usd_per_mwh[:23, 0].tolist() == [91.0 + n for n in range(23)]


def test_hourly_prices_are_known_in_shorter_steps_too(tick):
    outlook = Outlook(Clock(step_seconds=900))
    outlook.hear(tick(0, 40.0, interval_seconds=900, price_market=PriceMarket.DAY_AHEAD))
    outlook.hear_published(published(tick, 0, [40.0, 60.0, 80.0]))
    assert outlook.ahead().prices_usd_per_mwh[:2].tolist() == [[45.0] * 5, [65.0] * 5]


def test_in_a_real_time_market_day_ahead_prices_are_another_price(tick):
    outlook = heard(tick, price_market=PriceMarket.REAL_TIME)
    before = outlook.ahead().prices_usd_per_mwh.tolist()
    outlook.hear_published(published(tick, 48, [900.0] * 24))
    assert outlook.ahead().prices_usd_per_mwh.tolist() == before


def test_heard_twice_or_corrected_it_stays_what_it_was(tick):
    outlook = heard(tick)
    before = outlook.ahead()
    outlook.hear(an_hour(tick, 47, 9_000.0, revision=1))
    outlook.hear(an_hour(tick, 3, 9_000.0, revision=2))
    again = outlook.ahead()
    assert again.prices_usd_per_mwh.tolist() == before.prices_usd_per_mwh.tolist()
    assert (again.price_now_usd_per_mwh, outlook.heard_ticks) == (before.price_now_usd_per_mwh, 48)


@pytest.mark.parametrize(
    ("changes", "price", "carbon"),
    [
        ({"price_market": PriceMarket.REAL_TIME}, 7.0, None),
        ({"carbon_basis": CarbonBasis.AVERAGE}, None, 7.0),
    ],
)
def test_another_market_or_basis_begins_anew_and_the_other_signal_does_not(tick, changes, price, carbon):
    outlook = heard(tick)
    outlook.hear(an_hour(tick, 48, 7.0, 7.0, **changes))
    ahead, alone = outlook.ahead(), Outlook(HOURLY)
    alone.hear(an_hour(tick, 48, 7.0, 7.0, **changes))
    fresh = alone.ahead()
    assert (ahead.prices_usd_per_mwh.tolist() == fresh.prices_usd_per_mwh.tolist()) == (price is not None)
    assert (ahead.carbon_g_per_kwh.tolist() == fresh.carbon_g_per_kwh.tolist()) == (carbon is not None)


def test_nothing_is_expected_before_both_signals_have_spoken(tick):
    outlook = Outlook(HOURLY)
    assert outlook.ahead() is None
    outlook.hear(an_hour(tick, 0, None, 300.0))
    assert outlook.ahead() is None
    outlook.hear(an_hour(tick, 1, 40.0, 300.0, issues=("price_zero",)))
    assert outlook.ahead() is None
    outlook.hear(an_hour(tick, 2, 40.0, None))
    assert outlook.ahead().price_now_usd_per_mwh == 40.0


def test_a_missing_value_is_bridged(tick):
    outlook = heard(tick)
    outlook.hear(an_hour(tick, 48, None, None))
    ahead = outlook.ahead()
    assert np.isfinite([ahead.price_now_usd_per_mwh, ahead.carbon_now_g_per_kwh]).all()


def test_no_carbon_below_nothing_is_expected(tick):
    outlook = Outlook(HOURLY)
    for hour in range(24 * 20):
        outlook.hear(an_hour(tick, hour, 50.0, 0.1 if hour % 24 else 500.0))
    assert outlook.ahead().carbon_g_per_kwh.min() >= 0.0


def test_prices_published_before_the_first_tick_wait_for_it_through_a_restart_too(tick):
    outlook = Outlook(HOURLY)
    outlook.hear_published(published(tick, 0, [30.0, 31.0, 32.0]))
    for one in (outlook, Outlook.restored(outlook.to_bytes())):
        one.hear(an_hour(tick, 0, 30.0))
        assert one.ahead().prices_usd_per_mwh[:2, 0].tolist() == [31.0, 32.0]


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_what_is_no_outlook_is_not_restored(content):
    with pytest.raises(ValueError, match="not an outlook"):
        Outlook.restored(content)


def test_a_torn_one_is_not_restored(tick):
    content = heard(tick).to_bytes()
    with pytest.raises(ValueError, match="not an outlook"):
        Outlook.restored(content[: len(content) // 2])
