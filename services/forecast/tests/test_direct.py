"""The regression for each lead time: what it learns, and that nothing a market does throws it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from carbonshift.common.events import PriceMarket
from carbonshift.forecast.forecaster import History
from carbonshift.forecast.forecasters.direct import DirectForecaster

ORIGIN = datetime(2026, 3, 16, tzinfo=UTC)
DAY_SECONDS = 86_400
QUARTER = 900


def cycle(days, step_seconds=QUARTER, ahead=0, seed=0, noise=3.0):
    """A price with a daily cycle and a memory of some hours; `ahead` steps of it behind the origin."""
    random = np.random.default_rng(seed)
    size = round(days * DAY_SECONDS / step_seconds)
    seconds = ORIGIN.timestamp() + step_seconds * np.arange(-size, ahead)
    memory = 0.8 ** (step_seconds / 3_600)
    shocks = np.sqrt(1 - memory**2) * random.normal(size=seconds.size)
    level = np.zeros(seconds.size)
    for at in range(1, seconds.size):
        level[at] = memory * level[at - 1] + shocks[at]
    return 40 + 15 * np.sin(2 * np.pi * seconds / DAY_SECONDS) + noise * level


def history(price, carbon=None, step_seconds=QUARTER, **more):
    carbon = 300 + 2 * np.nan_to_num(price) if carbon is None else carbon
    values = {"origin": ORIGIN, "step_seconds": step_seconds, "price_usd_per_mwh": price, "carbon_g_per_kwh": carbon}
    return History(**values | more)


def predict(past, steps):
    return DirectForecaster().predict(past, steps)


def whole(said, steps):
    for bands in (said.price_usd_per_mwh, said.carbon_g_per_kwh):
        assert bands.p10.shape == bands.p50.shape == bands.p90.shape == (steps,)
        assert np.isfinite(np.stack((bands.p10, bands.p50, bands.p90))).all()
        assert (bands.p10 <= bands.p50).all()
        assert (bands.p50 <= bands.p90).all()
    assert (said.carbon_g_per_kwh.p10 >= 0).all()
    assert ((said.spike_probability >= 0) & (said.spike_probability <= 1)).all()
    return said


@pytest.mark.parametrize("days", [8, 22])
def test_it_foresees_the_daily_cycle_where_persistence_cannot(days):
    """With one day to look back to, and with a week; of the carbon intensity likewise."""
    errors, rival = [], []
    for seed in range(4):
        price = cycle(days, ahead=96, seed=seed)
        past, ahead = price[:-96], price[-96:]
        said = whole(predict(history(past), 96), 96)
        assert not said.degraded
        errors.append(np.abs(said.price_usd_per_mwh.p50 - ahead).mean())
        errors.append(np.abs(said.carbon_g_per_kwh.p50 - 300 - 2 * ahead).mean() / 2)
        rival.append(np.abs(past[-1] - ahead).mean())
    assert np.mean(errors) < 0.4 * np.mean(rival)


def test_the_next_step_is_near_the_last_value():
    errors = []
    for seed in range(10):
        price = cycle(10, ahead=1, seed=seed)
        errors.append(predict(history(price[:-1]), 1).price_usd_per_mwh.p50[0] - price[-1])
    assert np.abs(errors).mean() < 1.3  # of the shocks alone 0.8, of a normal day 2.4


def test_about_eight_in_ten_come_to_lie_between_p10_and_p90():
    """One long past, from every fifth hour of it: the spread of each lead time is that of its own errors."""
    steps, size = 6, 14 * 24
    within = {"price": [], "carbon": []}
    price, carbon = (cycle(60, step_seconds=3_600, seed=seed) for seed in (1, 2))
    carbon += 300
    for end in range(size, price.size - steps, 5):
        origin = ORIGIN + timedelta(hours=end - price.size)
        past = history(price[end - size : end], carbon[end - size : end], 3_600, origin=origin)
        said = predict(past, steps)
        for name, bands, came in (
            ("price", said.price_usd_per_mwh, price[end : end + steps]),
            ("carbon", said.carbon_g_per_kwh, carbon[end : end + steps]),
        ):
            within[name].append((came >= bands.p10) & (came <= bands.p90))
    for name, inside in within.items():
        assert len(inside) > 200
        assert 0.75 <= np.mean(inside) <= 0.85, name


def test_the_further_ahead_the_wider():
    bands = predict(history(cycle(20)), 32).price_usd_per_mwh
    width = bands.p90 - bands.p10
    assert width[0] < 0.6 * width[15] < width[31]


def test_a_price_that_leaps_upwards_has_its_spread_there():
    """Of an exponential distribution p90 lies nearly three times as far from the middle as p10."""
    price = 40 + 5 * np.random.default_rng(0).exponential(size=12 * 96)
    bands = predict(history(price), 16).price_usd_per_mwh
    assert ((bands.p90 - bands.p50) > 1.5 * (bands.p50 - bands.p10)).all()


def test_what_of_the_future_exceeds_the_threshold_is_the_chance_of_a_spike():
    price = cycle(12, noise=1.0)
    said = predict(history(price), 96)
    assert said.spike_threshold_usd_per_mwh == np.quantile(price, 0.95)
    at_noon, at_night = said.spike_probability[24], said.spike_probability[72]  # where the sine is at its ends
    assert at_noon > 0.2
    assert at_night <= 0.01


class TestPublishedPrices:
    """In a day-ahead market the price to come is known, and what follows starts from it."""

    whole_price = cycle(20, step_seconds=3_600, ahead=5)
    price = whole_price[:-5]
    known = whole_price[-5:] + np.array([8.0, 9.0, 10.0, 11.0, 12.0])

    def past(self, **more):
        published = np.concatenate((self.price, self.known, np.full(60, np.nan)))
        market = {"published_usd_per_mwh": published, "price_market": PriceMarket.DAY_AHEAD}
        return history(self.price, step_seconds=3_600, **market | more)

    def test_a_known_price_is_told_as_it_is(self):
        said = whole(predict(self.past(), 24), 24)
        bands = said.price_usd_per_mwh
        for quantile in (bands.p10, bands.p50, bands.p90):
            assert quantile[:5].tolist() == self.known.tolist()
        assert (bands.p90[5:] > bands.p10[5:]).all()
        assert not said.degraded

    def test_the_price_after_it_is_told_from_behind_it(self):
        """As if the known hours had passed already, of which the carbon intensity is not known yet."""
        carbon = 300 + 2 * self.price
        said = predict(self.past(), 24)
        later = history(
            np.concatenate((self.price, self.known)),
            np.concatenate((carbon, np.full(5, np.nan))),
            3_600,
            origin=ORIGIN + timedelta(hours=5),
        )
        meant, without = predict(later, 19), predict(history(self.price, carbon, 3_600), 24)
        for quantile in ("p10", "p50", "p90"):
            found, want = getattr(said.price_usd_per_mwh, quantile), getattr(meant.price_usd_per_mwh, quantile)
            np.testing.assert_allclose(found[5:], want)
        assert said.price_usd_per_mwh.p50[5] > without.price_usd_per_mwh.p50[5] + 4
        np.testing.assert_array_equal(said.carbon_g_per_kwh.p50, without.carbon_g_per_kwh.p50)

    @pytest.mark.parametrize("steps", [1, 4, 5])
    def test_where_all_is_known_nothing_is_foretold(self, steps):
        said = whole(predict(self.past(), steps), steps)
        bands, threshold = said.price_usd_per_mwh, np.quantile(self.price, 0.95)
        assert bands.p10.tolist() == bands.p90.tolist() == self.known[:steps].tolist()
        assert said.spike_probability.tolist() == (self.known[:steps] > threshold).astype(float).tolist()

    def test_in_a_real_time_market_it_is_the_price_of_another_one(self):
        said = predict(self.past(price_market=PriceMarket.REAL_TIME), 24)
        plain = predict(history(self.price, step_seconds=3_600), 24)
        np.testing.assert_array_equal(said.price_usd_per_mwh.p50, plain.price_usd_per_mwh.p50)


def test_gaps_teach_nothing_and_change_little():
    """A straight line over three days is easily foretold; nobody has seen it."""
    widths, holed_widths = [], []
    for seed in range(4):
        price = cycle(12, seed=seed)
        holed = price.copy()
        holed[400:700] = np.nan
        holed[np.random.default_rng(seed).random(price.size) < 0.05] = np.nan
        holed[-1] = price[-1]
        plain, said = predict(history(price), 16), whole(predict(history(holed), 16), 16)
        assert not said.degraded
        plain_bands, bands = plain.price_usd_per_mwh, said.price_usd_per_mwh
        widths.append(plain_bands.p90 - plain_bands.p10)
        holed_widths.append(bands.p90 - bands.p10)
        assert (np.abs(bands.p50 - plain_bands.p50) < 0.5 * widths[-1]).all()
    assert np.mean(holed_widths) == pytest.approx(np.mean(widths), rel=0.15)


@pytest.mark.parametrize("step_seconds", [60, 300, 900, 1_800, 3_600, 7_200, 21_600])
def test_any_length_of_interval_will_do(step_seconds):
    steps = min(48, DAY_SECONDS // step_seconds)
    days = 5 if step_seconds < 300 else 24
    assert not whole(predict(history(cycle(days, step_seconds), step_seconds=step_seconds), steps), steps).degraded


@pytest.mark.parametrize("days", [5, 8, 24])
@pytest.mark.parametrize("steps", [25, 47, 60, 24 * 3, 24 * 8, 24 * 15])
def test_any_horizon_will_do(days, steps):
    """Beyond a day with one day to look back to, beyond a week, and beyond all that has passed."""
    said = whole(predict(history(cycle(days, 3_600), step_seconds=3_600), steps), steps)
    looked_back = 7 if days >= 21 else 1
    assert said.degraded == (steps > 24 * (days - looked_back) - 49)


def test_where_what_could_teach_is_missing_what_stands_in_is_degraded():
    """Five days of which the newer half is missing: of no lead time has one passed that is known at both ends."""
    price = cycle(5, 3_600)
    price[62:] = np.nan
    assert whole(predict(history(price, step_seconds=3_600), 24), 24).degraded


@pytest.mark.parametrize("minutes", [5, 10, 15, 60, DAY_SECONDS // 60])
def test_a_short_past_is_degraded(minutes):
    price = cycle(1, 300)[-minutes // 5 :]
    assert whole(predict(history(price, step_seconds=300), 288), 288).degraded


def test_four_days_are_enough():
    assert predict(history(cycle(4)[1:]), 16).degraded
    assert not predict(history(cycle(4)), 16).degraded


def test_less_than_half_known_is_degraded():
    price = cycle(8)
    price[np.random.default_rng(0).permutation(price.size)[: price.size // 2 + 1]] = np.nan
    assert whole(predict(history(price), 16), 16).degraded


def test_a_signal_that_stopped_is_degraded():
    price = cycle(8)
    price[-4:] = np.nan
    assert not whole(predict(history(price), 16), 16).degraded
    price[-5:] = np.nan
    assert whole(predict(history(price), 16), 16).degraded


@pytest.mark.parametrize("value", [0.0, -12.5, 36.45487])
def test_a_signal_that_never_moved_is_held_and_degraded(value):
    said = whole(predict(history(np.full(8 * 96, value), np.full(8 * 96, abs(value))), 16), 16)
    assert said.degraded
    assert (said.price_usd_per_mwh.p50 == value).all()
    assert (said.carbon_g_per_kwh.p90 == abs(value)).all()


@pytest.mark.parametrize("moving", [slice(None, None, 7), slice(0, 60), slice(-50, None), slice(400, 404)])
def test_a_signal_that_mostly_stands_still_is_still_told(moving):
    carbon = np.zeros(8 * 96)
    carbon[moving] = 660.0
    said = whole(predict(history(cycle(8), carbon), 16), 16)
    assert said.carbon_g_per_kwh.p90.max() < 2_000


@pytest.mark.parametrize("spikes", [[100], [-1], [200, 201, 202, 500], [-3, -2, -1]])
@pytest.mark.parametrize("height", [9_000.0, -1_000.0])
def test_a_storm_does_not_send_the_forecast_to_the_moon(spikes, height):
    price = cycle(12)
    price[spikes] = height
    said = whole(predict(history(price), 96), 96)
    assert not said.degraded
    bands = said.price_usd_per_mwh
    assert bands.p90.max() < 20_000
    assert bands.p10.min() > -3_000
    if max(spikes) > 0:
        assert np.abs(bands.p50 - predict(history(cycle(12)), 96).price_usd_per_mwh.p50).max() < 15


def test_negative_prices_are_foretold_like_any():
    price = cycle(12, ahead=96) - 60
    said = whole(predict(history(price[:-96], 100 + np.abs(price[:-96])), 96), 96)
    assert said.price_usd_per_mwh.p50.max() < 0
    assert np.abs(said.price_usd_per_mwh.p50 - price[-96:]).mean() < 5


def test_cents_or_dollars_give_the_same_outlook():
    price = cycle(8)
    dollars, cents = (predict(history(values, 300 + 2 * price), 16) for values in (price, 100 * price))
    np.testing.assert_allclose(cents.price_usd_per_mwh.p90, 100 * dollars.price_usd_per_mwh.p90)
    np.testing.assert_allclose(cents.carbon_g_per_kwh.p10, dollars.carbon_g_per_kwh.p10)


@pytest.mark.parametrize("changed", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
@pytest.mark.parametrize("since_hours", [-5, 19])
def test_when_the_clock_changes_the_day_is_told_by_the_clock(changed, since_hours):
    """People who get up by the clock on the wall, the evening before the change and the one after."""
    origin = changed + timedelta(hours=since_hours)
    seconds = origin.timestamp() + 900 * np.arange(-28 * 96, 96)
    summer = (seconds < changed.timestamp()) == (changed.month == 10)
    angle = 2 * np.pi * (seconds + 3_600 * np.where(summer, 2, 1)) / DAY_SECONDS
    price = 40 + 15 * np.sin(angle) - 10 * np.cos(2 * angle) + np.random.default_rng(0).normal(size=angle.size)
    past = history(price[:-96], origin=origin, time_zone="Europe/Berlin")
    by_the_wall, by_the_sun = (
        whole(predict(replace(past, time_zone=zone), 96), 96).price_usd_per_mwh.p50 for zone in ("Europe/Berlin", "UTC")
    )
    error, rival = (np.abs(said - price[-96:]).mean() for said in (by_the_wall, by_the_sun))
    assert error < 0.9 * rival
