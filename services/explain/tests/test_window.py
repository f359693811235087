"""The stretch of hours in which a value is lowest."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.explain.digest.window import Window, lowest_window

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hourly(values):
    return [(NOON + n * HOUR, NOON + (n + 1) * HOUR, value) for n, value in enumerate(values)]


@given(st.lists(st.none() | st.integers(-100, 100), max_size=30), st.integers(1, 8))
def test_it_is_the_lowest_that_lies_without_a_gap(values, hours):
    means = {
        start: sum(values[start : start + hours]) / hours
        for start in range(len(values) - hours + 1)
        if None not in values[start : start + hours]
    }
    window = lowest_window(hourly(values), hours * 3_600.0)
    if not means:
        assert window is None
    else:
        first = min(means, key=means.__getitem__)
        assert (window.start, window.end) == (NOON + first * HOUR, NOON + (first + hours) * HOUR)
        assert window.mean == pytest.approx(means[first])


def test_it_takes_whole_intervals():
    assert lowest_window(hourly([3, 1, 2]), 4_000.0) == Window(NOON + HOUR, NOON + 3 * HOUR, 1.5)


def test_a_missing_stretch_of_time_is_a_gap():
    early, late = hourly([1, 1])[0], (NOON + 2 * HOUR, NOON + 3 * HOUR, 1)
    assert lowest_window([early, late], 7_200.0) is None
