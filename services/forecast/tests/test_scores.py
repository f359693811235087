"""The scores, each by what makes it a score."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from carbonshift.forecast.forecaster import Bands
from carbonshift.forecast.scores import (
    average_precision,
    brier,
    conformal_bands,
    coverage,
    diebold_mariano,
    mae,
    mean_pinball,
    pinball,
    reliability,
)

values = arrays(float, st.integers(1, 60), elements=st.floats(-1e3, 1e3))
losses = arrays(float, st.integers(30, 120), elements=st.floats(0, 100))


def two(size, elements):
    return st.tuples(arrays(float, size, elements=elements), arrays(float, size, elements=elements))


cases = st.integers(1, 80).flatmap(lambda size: two(size, st.floats(0, 1))).map(lambda both: (both[0].round(), both[1]))


@given(values, st.sampled_from([0.1, 0.5, 0.9]), st.floats(-1e3, 1e3))
def test_no_constant_loses_less_than_the_quantile(actual, quantile, other):
    best = np.quantile(actual, quantile, method="inverted_cdf")
    mean = [pinball(actual, np.full(actual.size, said), quantile).mean() for said in (best, other)]
    assert mean[0] <= mean[1] + 1e-9


@given(values)
def test_at_the_median_it_is_half_the_absolute_error(actual):
    said = np.zeros(actual.size)
    assert 2 * pinball(actual, said, 0.5).mean() == pytest.approx(mae(actual, said))


@given(values, st.integers(0, 59))
def test_what_is_not_known_is_left_out(actual, where):
    gap = np.append(actual, np.nan)
    said = np.zeros(actual.size)
    band = Bands(p10=said - 1, p50=said, p90=said + 1)
    wider = Bands(p10=np.append(band.p10, 5), p50=np.append(said, 6), p90=np.append(band.p90, 7))
    assert mae(gap, wider.p50) == mae(actual, said)
    assert coverage(gap, wider.p10, wider.p90) == coverage(actual, band.p10, band.p90)
    assert np.nanmean(mean_pinball(gap, wider)) == pytest.approx(mean_pinball(actual, band).mean())


def test_of_nothing_known_every_score_is_unknown():
    nothing = np.full(3, np.nan)
    said = np.zeros(3)
    for score in (mae(nothing, said), coverage(nothing, said, said), brier(nothing, said)):
        assert math.isnan(score)
    assert math.isnan(average_precision(nothing, said))
    assert reliability(nothing, said) == ()


@given(cases)
def test_a_perfect_ranking_has_precision_one_and_a_blind_one_the_base_rate(both):
    occurred, noise = both
    assume(occurred.any())
    assert average_precision(occurred, occurred + 0.5 * noise) == pytest.approx(1.0)
    assert average_precision(occurred, np.full(occurred.size, 0.3)) == pytest.approx(occurred.mean())


@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_the_cases_changes_no_score(both, random):
    occurred, said = both[0], both[1].round(1)
    order = np.array(random.sample(range(occurred.size), occurred.size))
    assume(occurred.any())
    assert average_precision(occurred[order], said[order]) == pytest.approx(average_precision(occurred, said))
    assert brier(occurred[order], said[order]) == pytest.approx(brier(occurred, said))


def test_a_known_curve_has_a_known_area():
    """Events at ranks 1 and 3 of 4: (1/1 + 2/3) / 2."""
    assert average_precision(np.array([0.0, 1, 0, 1]), np.array([0.1, 0.9, 0.8, 0.4])) == pytest.approx(5 / 6)


@given(cases)
def test_the_bins_hold_every_case_once(both):
    occurred, said = both
    bins = reliability(occurred, said)
    assert sum(b.count for b in bins) == occurred.size
    assert sum(b.count * b.occurred for b in bins) == pytest.approx(occurred.sum())
    assert sum(b.count * b.said for b in bins) == pytest.approx(said.sum())


@given(losses, st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_who_comes_first_changes_the_sign_alone(loss, overlap, seed):
    rival = loss + np.random.default_rng(seed).normal(size=loss.size)
    there, back = diebold_mariano(loss, rival, overlap), diebold_mariano(rival, loss, overlap)
    assert there.statistic == pytest.approx(-back.statistic, nan_ok=True)
    assert there.p_value == pytest.approx(back.p_value, nan_ok=True)


@given(losses, st.integers(1, 6))
def test_a_forecast_is_no_better_than_itself(loss, overlap):
    same = diebold_mariano(loss, loss, overlap)
    assert (same.difference, same.statistic, same.p_value) == (0.0, 0.0, 1.0)


def test_equal_forecasts_are_told_apart_as_often_as_chance_has_it():
    """Losses that remember four origins, as overlapping horizons make them: without lags it were three times more."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(400):
        noise = np.convolve(random.normal(size=803), np.ones(4) / 2, "valid")
        found.append(diebold_mariano(noise, np.zeros(800), 4).p_value < 0.05)
    assert np.mean(found) == pytest.approx(0.05, abs=0.035)


def test_too_few_origins_tell_nothing():
    few = diebold_mariano(np.arange(6.0), np.zeros(6), 4)
    assert math.isnan(few.p_value)
    assert few.difference == 2.5
    noise = np.random.default_rng(0).normal(size=30)
    assert math.isnan(diebold_mariano(noise[:29], np.zeros(29), 1).p_value)
    assert diebold_mariano(noise, np.zeros(30), 1).p_value > 0.0


def test_a_difference_that_never_varies_is_no_chance():
    steady = diebold_mariano(np.zeros(50), np.ones(50), 1)
    assert (steady.statistic, steady.p_value) == (-math.inf, 0.0)


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "gumbel"])
def test_eight_in_ten_of_exchangeable_errors_are_covered_whatever_they_are(draw):
    random = np.random.default_rng(1)
    within = []
    for _ in range(1_500):
        errors = getattr(random, draw)(size=(40, 1))
        band = conformal_bands(np.zeros(1), errors[:-1])
        within.append(band.p10[0] <= errors[-1, 0] <= band.p90[0])
    assert 0.78 <= np.mean(within) <= 0.84


@given(
    st.integers(1, 30).flatmap(
        lambda size: arrays(float, (size, 3), elements=st.one_of(st.just(np.nan), st.floats(-1e4, 1e4)))
    )
)
def test_bands_hold_their_point_and_leave_unknown_errors_out(errors):
    errors[0] = 1.0
    points = np.array([5.0, -5.0, 0.0])
    band = conformal_bands(points, errors)
    assert (band.p10 <= points).all()
    assert (points <= band.p90).all()
    assert np.isfinite(band.p10).all()
    assert np.isfinite(band.p90).all()
    for step in range(3):
        alone = errors[~np.isnan(errors[:, step]), step][:, None]
        own = conformal_bands(points[step : step + 1], alone)
        assert (own.p10[0], own.p90[0]) == (band.p10[step], band.p90[step])
