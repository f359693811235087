"""The two fair comparisons of what energy took."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.explain.digest.comparison import Interval, compared

intervals = st.lists(
    st.builds(
        Interval,
        seconds=st.sampled_from((300.0, 900.0, 3_600.0)),
        energy_j=st.just(0.0) | st.floats(1e3, 1e9),
        value_per_j=st.none() | st.floats(-1.0, 1.0),
    ),
    max_size=30,
)


@given(intervals)
def test_foresight_is_beaten_by_nothing(day):
    made = compared(day)
    if made is not None:
        assert made.best <= min(made.drawn, made.even)


@given(intervals)
def test_each_joule_is_in_the_sums_or_left_out(day):
    made = compared([Interval(seconds=one.seconds, energy_j=one.energy_j, value_per_j=1.0) for one in day])
    if made is not None:
        assert (
            made.drawn
            == pytest.approx(made.even)
            == pytest.approx(made.best)
            == pytest.approx(sum(one.energy_j for one in day))
        )
        assert made.left_out_j == 0
    mixed = compared(day)
    if mixed is not None:
        assert mixed.left_out_j == sum(one.energy_j for one in day if one.value_per_j is None)


@given(st.floats(1.0, 1e6), st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=20))
def test_what_is_drawn_evenly_saves_and_misses_nothing(watts, values):
    day = [Interval(seconds=300.0, energy_j=watts * 300.0, value_per_j=value) for value in values]
    made = compared(day)
    assert made is not None
    assert made.drawn == pytest.approx(made.even, abs=1e-6 * watts)
    assert made.drawn == pytest.approx(made.best, abs=1e-6 * watts)


def test_foresight_draws_no_more_watts_than_were_drawn_in_any_interval():
    day = [
        Interval(seconds=100.0, energy_j=500.0, value_per_j=3.0),
        Interval(seconds=100.0, energy_j=100.0, value_per_j=1.0),
        Interval(seconds=200.0, energy_j=0.0, value_per_j=2.0),
    ]
    made = compared(day)
    assert (made.drawn, made.best, made.full_draw_seconds) == (1_600.0, 700.0, 120.0)
    assert made.even == 600.0 * (300 + 100 + 400) / 400


def test_the_most_watts_may_have_been_drawn_where_no_value_is_known():
    day = [
        Interval(seconds=100.0, energy_j=1_000.0, value_per_j=None),
        Interval(seconds=100.0, energy_j=100.0, value_per_j=2.0),
        Interval(seconds=100.0, energy_j=100.0, value_per_j=1.0),
    ]
    made = compared(day)
    assert (made.drawn, made.best, made.left_out_j) == (300.0, 200.0, 1_000.0)


def test_without_energy_there_is_nothing_to_compare():
    assert compared([Interval(seconds=100.0, energy_j=0.0, value_per_j=1.0)]) is None
    assert compared([Interval(seconds=100.0, energy_j=5.0, value_per_j=None)]) is None
