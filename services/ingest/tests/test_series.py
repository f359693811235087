"""Readings in their places: late, doubled, shuffled, of another step, and through the clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.ingest.cleaning.series import joined, placed
from carbonshift.ingest.reading import Reading

START = datetime(2026, 1, 1, tzinfo=UTC)
values = st.none() | st.floats(-1_000, 10_000)
by_number = st.dictionaries(st.integers(-5, 30), values, max_size=30)


def reading(number, value, step=300):
    return Reading(START + timedelta(seconds=step * number), value)


@given(by_number=by_number, count=st.integers(1, 25), seed=st.randoms(), again=st.lists(st.integers(-5, 30)))
def test_order_and_repeats_change_nothing(by_number, count, seed, again):
    readings = [reading(number, value) for number, value in by_number.items()]
    shuffled = readings + [reading(n, by_number[n]) for n in again if n in by_number]
    seed.shuffle(shuffled)
    series = placed(shuffled, 300, START, count, 300)
    wanted = [by_number.get(n) for n in range(count)]
    np.testing.assert_array_equal(series.values, [np.nan if v is None else v for v in wanted])


def test_the_later_of_two_counts_and_none_displaces_nothing():
    series = placed([reading(0, 1.0), reading(0, 2.0), reading(0, None)], 300, START, 1, 300)
    assert series.values.tolist() == [2.0]


@given(by_number=by_number, hours=st.integers(1, 4))
def test_an_hourly_value_holds_over_its_hour(by_number, hours):
    series = placed([reading(n, v, 3_600) for n, v in by_number.items()], 3_600, START, 12 * hours, 300)
    for number, value in enumerate(series.values):
        wanted = by_number.get(number // 12)
        assert np.isnan(value) if wanted is None else value == wanted


def test_an_hour_that_began_before_the_stretch_reaches_into_it():
    series = placed([reading(-1, 7.0, 3_600)], 3_600, START - timedelta(minutes=30), 12, 300)
    assert series.values[:6].tolist() == [7.0] * 6
    assert np.isnan(series.values[6:]).all()


@given(shift=st.integers(1, 299), number=st.integers(0, 9))
def test_what_is_off_the_grid_is_left_out(shift, number):
    off = Reading(START + timedelta(seconds=300 * number + shift), 1.0)
    assert np.isnan(placed([off], 300, START, 10, 300).values).all()


def test_both_clock_changes_have_all_their_intervals():
    """Pacific 2026: 23 hours on 8 March, 25 on 1 November; in UTC nothing is skipped and nothing comes twice."""
    zone = ZoneInfo("America/Los_Angeles")
    for month, day, hours in ((3, 8, 23), (11, 1, 25)):
        start = datetime(2026, month, day, tzinfo=zone).astimezone(UTC)
        count = (datetime(2026, month, day + 1, tzinfo=zone).astimezone(UTC) - start) // timedelta(minutes=5)
        assert count == hours * 12
        told = [Reading(start + timedelta(minutes=5 * n), float(n)) for n in range(count)]
        assert placed(told, 300, start, count, 300).values.tolist() == list(range(count))


def test_an_estimate_is_known_as_one():
    told = [Reading(START, 1.0, estimated=True), reading(1, 2.0)]
    assert placed(told, 300, START, 3, 300).estimated.tolist() == [True, False, False]


def test_joined_is_one_behind_the_other():
    one, two = placed([reading(0, 1.0)], 300, START, 1, 300), placed([reading(0, 2.0)], 300, START, 2, 300)
    assert joined(one, two).values[:2].tolist() == [1.0, 2.0]
    assert len(joined(one, two)) == 3
