"""The outlook: what is published is known, what is not is expected, and nothing mixes."""

import io
import zipfile
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


def parts(content):
    """By name: the archive around them has the time of day in it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


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


@pytest.mark.parametrize("begun", [True, False])
def test_prices_of_tomorrow_heard_before_the_first_price_say_nothing_of_now(tick, begun):
    """Energy is not free because only tomorrow's price is known: it is unknown, or what the tick says."""
    outlook = Outlook(HOURLY)
    if begun:
        outlook.hear(an_hour(tick, 11, None))
    outlook.hear_published(published(tick, 24, [90.0 + n for n in range(24)]))
    assert outlook.ahead() is None
    for one in (outlook, Outlook.restored(outlook.to_bytes())):
        one.hear(an_hour(tick, 12, 50.0))
        assert one.ahead().price_now_usd_per_mwh == 50.0
        assert one.ahead().prices_usd_per_mwh[:11, 0] == pytest.approx(50.0)
        for hour in range(13, 24):
            one.hear(an_hour(tick, hour, 50.0))
        assert one.ahead().prices_usd_per_mwh[:24, 0].tolist() == [90.0 + n for n in range(24)]


def test_prices_beyond_a_hole_wait_until_ticks_have_told_what_is_in_it(tick):
    """A guess for hours that nobody has published must not stand in the way of what they come to cost."""
    outlook = heard(tick)
    outlook.hear_published(published(tick, 72, [90.0] * 24))
    for hour in range(48, 72):
        outlook.hear(an_hour(tick, hour, 500.0))
        assert outlook.ahead().price_now_usd_per_mwh == 500.0
    assert outlook.ahead().prices_usd_per_mwh[:24, 0].tolist() == [90.0] * 24


def test_finer_prices_are_averaged(tick):
    outlook = heard(tick)
    outlook.hear_published(published(tick, 48, [10.0, 20.0, 30.0, 40.0] * 24, step_seconds=900))
    assert outlook.ahead().prices_usd_per_mwh[:24, 0].tolist() == [25.0] * 24


def test_prices_of_a_day_that_has_begun_tell_its_earlier_hours_too(tick):
    early, late = Outlook(HOURLY), Outlook(HOURLY)
    early.hear_published(published(tick, 0, [30.0 + n for n in range(24)]))
    for hour in range(12):
        late.hear(an_hour(tick, hour, 30.0 + hour))
    for one in (early, late):
        one.hear(an_hour(tick, 12, 42.0))
    late.hear_published(published(tick, 0, [30.0 + n for n in range(24)]))
    assert early.ahead().prices_usd_per_mwh.tolist() == late.ahead().prices_usd_per_mwh.tolist()


@pytest.mark.parametrize("days", [9, 400])
def test_prices_of_a_far_day_change_nothing(tick, days):
    """A wrong date in a publication must not cost a region its price."""
    outlook = heard(tick)
    before = outlook.ahead()
    outlook.hear_published(published(tick, 48 + 24 * days, [9_000.0] * 24))
    after = outlook.ahead()
    assert after.price_now_usd_per_mwh == before.price_now_usd_per_mwh
    assert after.prices_usd_per_mwh.tolist() == before.prices_usd_per_mwh.tolist()
    outlook.hear(an_hour(tick, 48, 77.0))
    assert outlook.ahead().price_now_usd_per_mwh == 77.0


def test_prices_published_again_change_nothing(tick):
    once, twice = heard(tick), heard(tick)
    for outlook, times in ((once, 1), (twice, 3)):
        for number in range(times):
            outlook.hear_published(published(tick, 48, [90.0 + n + 500.0 * number for n in range(24)]))
    assert twice.ahead().prices_usd_per_mwh.tolist() == once.ahead().prices_usd_per_mwh.tolist()


def test_the_price_of_a_tick_does_not_change_what_was_published_for_it(tick):
    outlook = heard(tick)
    outlook.hear_published(published(tick, 48, [90.0 + n for n in range(24)]))
    outlook.hear(an_hour(tick, 48, 9_000.0))
    assert outlook.ahead().price_now_usd_per_mwh == 90.0


@pytest.mark.parametrize("step_seconds", [300, 3_600])
@pytest.mark.parametrize("market", list(PriceMarket))
def test_a_restart_leaves_no_trace(tick, step_seconds, market):
    """Whatever comes after it: ticks, gaps, prices that were published."""
    clock, number = Clock(step_seconds=step_seconds), step_seconds // 300

    def go_on(outlook, first, last):
        for at in range(first, last):
            if at % 7 != 3:
                price, carbon = (50.0 + 20 * np.sin(at / 4), 300.0 + at % 24) if at % 5 else (None, 280.0)
                outlook.hear(tick(number * at, price, carbon, interval_seconds=step_seconds, price_market=market))
            if at % 48 == 30:
                prices = [40.0 + n for n in range(24)]
                outlook.hear_published(published(tick, number * (at + 1) // 12, prices))
        return outlook

    whole, before = go_on(Outlook(clock), 0, 200), go_on(Outlook(clock), 0, 81)
    after = go_on(Outlook.restored(before.to_bytes()), 81, 200)
    assert parts(after.to_bytes()) == parts(whole.to_bytes())
    one, other = whole.ahead(), after.ahead()
    assert other.prices_usd_per_mwh.tolist() == one.prices_usd_per_mwh.tolist()
    assert other.carbon_g_per_kwh.tolist() == one.carbon_g_per_kwh.tolist()
    assert other.price_now_usd_per_mwh == one.price_now_usd_per_mwh


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_what_is_no_outlook_is_not_restored(content):
    with pytest.raises(ValueError, match="not an outlook"):
        Outlook.restored(content)


def test_a_torn_one_is_not_restored(tick):
    content = heard(tick).to_bytes()
    with pytest.raises(ValueError, match="not an outlook"):
        Outlook.restored(content[: len(content) // 2])


@pytest.mark.parametrize("part", ["price", "carbon", "heard"])
@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"0 0 - - 0 UTC"])
def test_one_of_which_a_part_is_rubbish_is_not_restored(tick, part, rubbish):
    torn = io.BytesIO()
    with zipfile.ZipFile(torn, "w") as archive:
        for name, content in parts(heard(tick, 3).to_bytes()).items():
            archive.writestr(name, rubbish if name == part else content)
    with pytest.raises(ValueError):  # noqa: PT011  # whichever part says so: it is what whoever restores waits for
        Outlook.restored(torn.getvalue())
