"""What others have told of the hours to come."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, DayAheadPrices, ProvidedForecast
from carbonshift.forecast.told_ahead import MOST_PUBLISHED, ToldAhead

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)
START = int(NOON.timestamp())
HOUR = 3_600
NAN = np.nan


def prices(*values, at_seconds=0, step_seconds=HOUR, published_seconds=-HOUR):
    return DayAheadPrices(
        region="fr",
        published_at=NOON + timedelta(seconds=published_seconds),
        step_seconds=step_seconds,
        first_interval_start=NOON + timedelta(seconds=at_seconds),
        prices_usd_per_mwh=values,
    )


def forecast(*values, at_seconds=0, step_seconds=HOUR, published_seconds=0, basis=CarbonBasis.MARGINAL):
    return ProvidedForecast(
        region="fr",
        source="test",
        published_at=NOON + timedelta(seconds=published_seconds),
        step_seconds=step_seconds,
        first_interval_start=NOON + timedelta(seconds=at_seconds),
        carbon_basis=basis,
        carbon_g_per_kwh=values,
    )


def heard(*events):
    told = ToldAhead()
    for event in events:
        told = told.hear(event)
    return told


def carbon(told, steps=4, step_seconds=HOUR, origin=START, basis=CarbonBasis.MARGINAL):
    return told.carbon(origin, step_seconds, steps, basis)


def test_where_nothing_was_told_there_is_nothing():
    assert heard().prices(START, HOUR, 3).shape == (0,)
    assert carbon(heard()).shape == (0,)
    assert carbon(heard(prices(1.0))).shape == (0,)
    assert heard(forecast(1.0)).prices(START, HOUR, 3).shape == (0,)


@pytest.mark.parametrize("signal", ["prices", "carbon"])
@given(
    at=st.integers(-30, 30),
    told=st.lists(st.none() | st.floats(0, 500), min_size=1, max_size=20),
    theirs=st.sampled_from([900, 1_800, 3_600, 7_200]),
)
def test_each_interval_has_what_was_told_of_it(signal, at, told, theirs):
    """Asked of every quarter of an hour on its own, whatever part of the window was spoken of."""
    size, begin = 24, at * 900
    if signal == "prices":
        found = heard(prices(*told, at_seconds=begin, step_seconds=theirs)).prices(START, 900, size)
    else:
        found = carbon(heard(forecast(*told, at_seconds=begin, step_seconds=theirs)), size, 900)
    which = [(900 * number - begin) // theirs for number in range(size)]
    meant = [told[number] if 0 <= number < len(told) else None for number in which]
    if signal == "carbon" and all(value is None for value in meant):
        assert found.size == 0
    else:
        np.testing.assert_array_equal(found, [NAN if value is None else value for value in meant])


def test_what_is_told_later_of_the_same_hour_holds():
    """Whatever it says of the hour it was published in."""
    first, second = prices(1.0, 2.0, 3.0, published_seconds=-60), prices(20.0, 30.0, at_seconds=HOUR)
    assert heard(first, second).prices(START, HOUR, 4).tolist()[:3] == [1.0, 20.0, 30.0]
    assert heard(second, first).prices(START, HOUR, 4).tolist()[:3] == [1.0, 2.0, 3.0]


def test_days_told_one_after_another_stand_side_by_side():
    found = heard(prices(1.0, 2.0), prices(3.0, at_seconds=2 * HOUR)).prices(START - HOUR, HOUR, 5)
    np.testing.assert_array_equal(found, [NAN, 1.0, 2.0, 3.0, NAN])


def test_finer_steps_are_averaged_and_half_an_interval_is_none():
    quarters = prices(1.0, 2.0, 3.0, 6.0, 5.0, 5.0, None, 5.0, 9.0, 9.0, step_seconds=900)
    np.testing.assert_array_equal(heard(quarters).prices(START, HOUR, 3), [3.0, NAN, NAN])
    np.testing.assert_array_equal(heard(quarters).prices(START, 1_800, 5), [1.5, 4.5, 5.0, NAN, 9.0])
    np.testing.assert_array_equal(heard(quarters).prices(START + HOUR, 1_800, 2), [5.0, NAN])


def test_coarser_steps_hold_throughout():
    hours = heard(prices(1.0, 2.0))
    assert hours.prices(START, 1_200, 6).tolist() == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    assert hours.prices(START + 2_400, 1_200, 3).tolist() == [1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "misfit",
    [
        prices(5.0, 5.0, step_seconds=2_700),
        prices(5.0, 5.0, 5.0, 5.0, at_seconds=900, step_seconds=1_800),
        prices(5.0, 5.0, at_seconds=600),
    ],
    ids=["other lengths", "finer, across the edges", "out of phase"],
)
def test_steps_that_do_not_fit_into_one_another_tell_nothing(misfit):
    found = heard(prices(1.0, 1.0, 1.0), misfit).prices(START, HOUR, 3)
    assert found.tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(heard(misfit).prices(START, HOUR, 3)).all()


def test_a_repeated_telling_changes_nothing():
    told = heard(prices(1.0))
    assert told.hear(prices(1.0)) is told
    assert heard(prices(1.0), prices(2.0), prices(1.0)).prices(START, HOUR, 1).tolist() == [1.0]


def test_the_oldest_tellings_are_let_go():
    told = heard(*(prices(float(number), at_seconds=number * HOUR) for number in range(MOST_PUBLISHED + 1)))
    assert len(told.published) == MOST_PUBLISHED
    np.testing.assert_array_equal(told.prices(START, HOUR, 3), [NAN, 1.0, 2.0])


def test_of_the_providers_forecasts_the_newest_holds():
    old, new = forecast(1.0, 2.0, 3.0, published_seconds=-300), forecast(9.0)
    corrected = forecast(8.0)
    for told in (heard(old, new), heard(new, old), heard(old, new, old)):
        np.testing.assert_array_equal(carbon(told, 2), [9.0, NAN])
    np.testing.assert_array_equal(carbon(heard(new, corrected), 1), [8.0])


def test_what_is_told_of_another_basis_is_of_no_use():
    told = heard(forecast(9.0, basis=CarbonBasis.AVERAGE))
    assert carbon(told).size == 0
    np.testing.assert_array_equal(carbon(told, 1, basis=CarbonBasis.AVERAGE), [9.0])


def test_what_has_passed_says_nothing_of_what_comes():
    told = heard(forecast(1.0, 2.0, 3.0))
    np.testing.assert_array_equal(carbon(told, 3, origin=START + HOUR), [2.0, 3.0, NAN])
    assert carbon(told, 3, origin=START + 3 * HOUR).size == 0


def test_nobody_changes_what_was_told():
    told = heard(prices(1.0), forecast(1.0))
    assert not told.prices(START, HOUR, 1).flags.writeable
    assert not carbon(told).flags.writeable
