"""The rivals: the two baselines by what they are, the candidates by what they must find in a plain series."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.plugins import load_plugin
from carbonshift.forecast.forecaster import History
from carbonshift.forecast.scaled import Scaled, told_by
from carbonshift.forecast.settings import ForecastSettings

ORIGIN = datetime(2026, 1, 29, tzinfo=UTC)
DAY_SECONDS = 86_400
FITTED = ("quantile-regression", "sarimax", "stl-ets", "structural", "theta")


def made(name):
    return load_plugin("carbonshift.forecasters", name)(ForecastSettings())


def wave(step_seconds=3_600, days=28, steps=0, seed=0):
    """A price with a daily cycle and a memory of some hours; `steps` beyond the origin."""
    random = np.random.default_rng(seed)
    size = days * DAY_SECONDS // step_seconds + steps
    seconds = ORIGIN.timestamp() + step_seconds * (np.arange(size) - size + steps)
    noise = np.zeros(size)
    memory = 0.8 ** (step_seconds / 3_600)
    for at in range(1, size):
        noise[at] = memory * noise[at - 1] + np.sqrt(1 - memory**2) * random.normal()
    return 40 + 15 * np.sin(2 * np.pi * seconds / DAY_SECONDS) + 3 * noise


def history(price, step_seconds=3_600, **more):
    return History(
        origin=ORIGIN, step_seconds=step_seconds, price_usd_per_mwh=price, carbon_g_per_kwh=300 + 2 * price, **more
    )


def test_persistence_holds_the_last_known_price():
    price = wave()
    price[-1] = np.nan
    said = made("persistence").predict(history(price), 4)
    assert (said.price_usd_per_mwh.p50 == price[-2]).all()
    assert not said.degraded


def test_seasonal_naive_repeats_the_day_before_and_past_its_end_the_same_again():
    price = wave()
    price[-23] = np.nan
    said = made("seasonal-naive").predict(history(price), 30).price_usd_per_mwh.p50
    day = price[-24:].copy()
    day[1] = price[-47]
    assert said.tolist() == np.resize(day, 30).tolist()


@pytest.mark.parametrize("name", ["persistence", "seasonal-naive"])
def test_a_baseline_covers_what_it_says(name):
    """From every hour of the day alike: at one of them alone the price may always climb."""
    within = []
    for seed in range(48):
        whole = wave(steps=4, seed=seed)[: -1 - seed % 24]
        said = made(name).predict(history(whole[:-4]), 4).price_usd_per_mwh
        within.append((whole[-4:] >= said.p10) & (whole[-4:] <= said.p90))
    assert np.mean(within) == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("name", ["persistence", "seasonal-naive"])
def test_the_bands_are_of_the_errors_whose_step_has_passed(name):
    """What a step missed by from each origin, ranked: counted here one by one."""
    price, steps = wave(days=3), 3
    said = made(name).predict(history(price), steps).price_usd_per_mwh
    back = {"persistence": lambda at, _: at - 1, "seasonal-naive": lambda at, step: at + step - 24}[name]
    for step in range(steps):
        errors = sorted(
            price[at + step] - price[back(at, step)] for at in range(1, price.size - step) if back(at, step) >= 0
        )
        low = errors[int(0.1 * (len(errors) + 1) + 1e-9) - 1]
        assert said.p10[step] == pytest.approx(said.p50[step] + min(low, 0.0))


@pytest.mark.parametrize("name", ["persistence", "seasonal-naive", "day-ahead", *FITTED])
def test_a_day_alone_does_not_suffice_for_more_than_moves(name):
    said = made(name).predict(history(wave(days=1)[:12]), 4)
    assert said.degraded


@pytest.mark.parametrize("step_seconds", [3_600, 900])
@pytest.mark.parametrize("name", FITTED)
def test_a_candidate_foresees_a_daily_cycle_where_persistence_cannot(name, step_seconds):
    steps = 4 * 3_600 // step_seconds
    errors, rival = [], []
    for seed in range(3):
        whole = wave(step_seconds=step_seconds, steps=steps, seed=seed)
        past, ahead = whole[:-steps], whole[-steps:]
        said = made(name).predict(history(past, step_seconds), steps)
        assert not said.degraded
        errors.append(np.abs(said.price_usd_per_mwh.p50 - ahead).mean())
        rival.append(np.abs(past[-1] - ahead).mean())
    assert np.mean(errors) < 0.6 * np.mean(rival)


def test_what_is_published_is_what_day_ahead_says():
    price = wave()
    published = wave(steps=4) + 2.0
    said = made("day-ahead").predict(history(price, published_usd_per_mwh=published), 4)
    assert not said.degraded
    np.testing.assert_array_equal(said.price_usd_per_mwh.p50, published[-4:])
    np.testing.assert_allclose(said.price_usd_per_mwh.p10, published[-4:] - 2.0)


def test_day_ahead_holds_the_last_price_where_nothing_is_published():
    price = wave()
    published = wave(steps=2)
    some = made("day-ahead").predict(history(price, published_usd_per_mwh=published), 4)
    none, held = made("day-ahead").predict(history(price), 4), made("persistence").predict(history(price), 4)
    assert not some.degraded
    assert some.price_silent.tolist() == [False, False, True, True]
    assert some.carbon_silent.all()
    assert some.price_usd_per_mwh.p50.tolist() == [*published[-2:], price[-1], price[-1]]
    assert none.degraded
    np.testing.assert_array_equal(none.price_usd_per_mwh.p90, held.price_usd_per_mwh.p90)


@given(st.sampled_from([300, 600, 900, 1_200]), st.integers(1, 50))
def test_thinned_steps_lie_between_what_the_model_says_of_every_hour(step_seconds, steps):
    """A model that climbs one scaled unit an hour: the first step is near the newest value, the last near its own."""

    def climb(series: Scaled):
        assert series.step_seconds == 3_600
        return np.tile(series.values[-1] - 0.1 * np.arange(1, series.steps + 1), (5, 1))

    price = wave(step_seconds=step_seconds, days=15)
    told = told_by(climb)(price, history(price, step_seconds), steps)
    assert told.futures.shape == (5, steps)
    assert (np.diff(np.append(price[-1] + 0.01, told.bands.p50)) <= 1e-9).all()


def test_a_model_that_does_not_fit_leaves_it_to_what_stands_in():
    def fails(series):
        raise np.linalg.LinAlgError

    price = wave()
    assert told_by(fails)(price, history(price), 4) is None
    assert told_by(lambda series: np.full((3, series.steps), np.inf))(price, history(price), 4) is None
