"""The move that a person would name."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.explain.move import Move, move_to

NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)


def moved(*values, least=1.0):
    starts = tuple(NOW - timedelta(minutes=5 * n) for n in reversed(range(len(values))))
    return move_to(values[-1], NOW, starts, values, least)


def test_a_jump_is_dated_to_where_it_began():
    assert moved(30.0, 32.0, 31.0, 200.0, 412.0) == Move(31.0, timedelta(minutes=10))


def test_a_fall_after_a_peak_is_told_from_the_peak():
    assert moved(30.0, 412.0, 88.0) == Move(412.0, timedelta(minutes=5))


def test_a_slow_climb_takes_its_time():
    assert moved(100.0, 110.0, 120.0, 130.0, 140.0, 150.0) == Move(110.0, timedelta(minutes=20))


def test_what_is_missing_is_passed_over():
    assert moved(31.0, None, None, 412.0) == Move(31.0, timedelta(minutes=15))


def test_no_past_or_no_change_is_no_move():
    assert moved(31.0) is None
    assert moved(None, 31.0) is None
    assert moved(31.0, 31.9) is None


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=13), st.floats(0.1, 100))
def test_a_move_is_at_least_the_least_by_most(values, least):
    move = moved(*values, least=least)
    largest = max(abs(values[-1] - v) for v in values[:-1])
    assert (move is None) == (largest < least)
    if move:
        assert abs(values[-1] - move.before) >= 0.8 * largest
        assert move.took > timedelta(0)
