"""The autoregression: what it learns, and what it does where there is little to learn from."""

from datetime import UTC, datetime

import numpy as np
import pytest

from carbonshift.forecast.errors import NoSignalError
from carbonshift.forecast.forecaster import History
from carbonshift.forecast.forecasters.autoreg import AutoRegForecaster

ORIGIN = datetime(2026, 1, 8, tzinfo=UTC)
DAY = 288


def wave(days=7.0, seed=0, step_seconds=300):
    """A price with a daily cycle, a memory of about an hour, and now and then a spike."""
    random = np.random.default_rng(seed)
    size = int(days * 86_400 / step_seconds)
    seconds = ORIGIN.timestamp() - step_seconds * np.arange(size, 0, -1)
    noise = np.zeros(size)
    for at in range(1, size):
        noise[at] = 0.9 * noise[at - 1] + random.normal()
    spikes = np.where(random.random(size) < 0.005, 300.0, 0.0)
    return 40 + 15 * np.sin(2 * np.pi * seconds / 86_400) + noise + spikes


def history(price, carbon=None, step_seconds=300):
    carbon = 300 + 2 * np.nan_to_num(price) if carbon is None else carbon
    return History(origin=ORIGIN, step_seconds=step_seconds, price_usd_per_mwh=price, carbon_g_per_kwh=carbon)


def predict(price, carbon=None, steps=48, step_seconds=300):
    return AutoRegForecaster().predict(history(price, carbon, step_seconds), steps)


def test_it_foresees_the_daily_cycle_where_persistence_cannot():
    errors, rival = [], []
    for seed in range(5):
        whole = wave(days=7 + 1 / 6, seed=seed)
        past, ahead = whole[: 7 * DAY], whole[7 * DAY :]
        shifted = History(
            origin=datetime.fromtimestamp(ORIGIN.timestamp() - 300 * ahead.size, UTC),
            step_seconds=300,
            price_usd_per_mwh=past,
            carbon_g_per_kwh=past,
        )
        outlook = AutoRegForecaster().predict(shifted, ahead.size)
        assert not outlook.degraded
        errors.append(np.abs(outlook.price_usd_per_mwh.p50 - ahead).mean())
        rival.append(np.abs(past[-1] - ahead).mean())
    assert np.mean(errors) < 0.6 * np.mean(rival)


def test_about_eight_in_ten_come_to_lie_between_p10_and_p90():
    """Steps of a quarter of an hour: a day of fewer steps is fitted sooner, and many futures are needed here."""
    within = []
    for seed in range(60):
        whole = wave(days=7 + 1 / 6, seed=seed, step_seconds=900)
        past = History(
            origin=datetime.fromtimestamp(ORIGIN.timestamp() - 900 * 16, UTC),
            step_seconds=900,
            price_usd_per_mwh=whole[:-16],
            carbon_g_per_kwh=whole[:-16],
        )
        bands = AutoRegForecaster().predict(past, 16).price_usd_per_mwh
        within.append(np.mean((whole[-16:] >= bands.p10) & (whole[-16:] <= bands.p90)))
    assert np.mean(within) == pytest.approx(0.8, abs=0.08)


def test_cents_or_dollars_give_the_same_outlook():
    dollars, cents = predict(wave()), predict(wave() * 100)
    assert cents.price_usd_per_mwh.p50 == pytest.approx(100 * dollars.price_usd_per_mwh.p50)
    assert cents.spike_probability == pytest.approx(dollars.spike_probability)


def test_gaps_are_bridged_and_nothing_missing_comes_out():
    price = wave()
    price[100:112] = np.nan
    price[[500, 1_500, -1]] = np.nan
    outlook = predict(price)
    assert not outlook.degraded
    assert np.isfinite(outlook.price_usd_per_mwh.p90).all()
    assert outlook.price_usd_per_mwh.p50 == pytest.approx(predict(wave()).price_usd_per_mwh.p50, abs=2.0)


def test_a_signal_that_stopped_an_hour_ago_is_degraded():
    price = wave()
    price[-12:] = np.nan
    assert not predict(price).degraded
    price[-13:] = np.nan
    assert predict(price).degraded


def test_a_long_gap_does_not_make_the_future_look_foreseeable():
    gap = wave()
    gap[DAY : 4 * DAY] = np.nan
    whole, holed = predict(wave()).price_usd_per_mwh, predict(gap).price_usd_per_mwh
    assert np.mean(holed.p90 - holed.p10) >= 0.9 * np.mean(whole.p90 - whole.p10)


@pytest.mark.parametrize("values", [1, 2, 40, DAY, 2 * DAY - 1])
def test_less_than_two_days_are_degraded(values):
    outlook = predict(wave()[-values:])
    assert outlook.degraded
    assert outlook.price_usd_per_mwh.p50.shape == (48,)


def test_two_days_are_enough():
    assert not predict(wave()[-2 * DAY :]).degraded


def test_one_value_is_held():
    outlook = predict(np.array([37.0]))
    assert (outlook.price_usd_per_mwh.p10 == 37.0).all()
    assert (outlook.price_usd_per_mwh.p90 == 37.0).all()
    assert not outlook.spike_probability.any()


@pytest.mark.parametrize("value", [0.0, -12.5, 36.45487])
def test_a_signal_that_never_moved_is_held_and_degraded(value):
    outlook = predict(np.full(7 * DAY, value), np.full(7 * DAY, abs(value)))
    assert outlook.degraded
    assert (outlook.price_usd_per_mwh.p50 == value).all()
    assert (outlook.carbon_g_per_kwh.p90 == abs(value)).all()
    assert not outlook.spike_probability.any()


@pytest.mark.parametrize("moving", [slice(None, None, 7), slice(-50, None)])
def test_a_signal_that_mostly_stands_still_is_still_modelled(moving):
    carbon = np.zeros(7 * DAY)
    carbon[moving] = 660.0
    outlook = predict(wave(), carbon)
    assert not outlook.degraded
    assert (outlook.carbon_g_per_kwh.p10 >= 0).all()
    assert (outlook.carbon_g_per_kwh.p90 <= 660.001).all()


@pytest.mark.parametrize("moving", [slice(0, 100), slice(1_000, 1_012)])
def test_a_signal_that_has_not_moved_for_a_day_is_degraded(moving):
    carbon = np.zeros(7 * DAY)
    carbon[moving] = 660.0
    assert predict(wave(), carbon).degraded


def test_a_price_held_through_each_hour_is_modelled():
    outlook = predict(np.repeat(wave(step_seconds=3_600), 12))
    assert not outlook.degraded


def test_carbon_is_never_negative():
    assert (predict(wave(), np.maximum(wave(seed=3) - 40, 0.0)).carbon_g_per_kwh.p10 >= 0).all()


def test_no_future_leaves_the_range_that_was_seen():
    climb = np.exp(np.linspace(0, 9, 7 * DAY))
    bands = predict(climb).price_usd_per_mwh
    assert bands.p90.max() <= climb.max() * 1.001
    assert bands.p10.min() >= climb.min()


@pytest.mark.parametrize("step_seconds", [60, 300, 900, 1_800, 3_600, 21_600])
def test_any_length_of_interval_will_do(step_seconds):
    steps = max(1, 14_400 // step_seconds)
    outlook = predict(wave(days=8, step_seconds=step_seconds), steps=steps, step_seconds=step_seconds)
    assert not outlook.degraded
    assert outlook.price_usd_per_mwh.p50.shape == (steps,)


@pytest.mark.parametrize("signal", ["price", "carbon"])
def test_a_signal_of_which_nothing_is_known_is_refused(signal):
    nothing = np.full(7 * DAY, np.nan)
    with pytest.raises(NoSignalError, match=signal):
        predict(nothing if signal == "price" else wave(), nothing if signal == "carbon" else wave())
