"""Futures, and what is read off them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from carbonshift.forecast.scenarios import bands, persistence

values = arrays(float, st.integers(1, 60), elements=st.floats(-1e4, 1e4))
steps = st.integers(1, 50)


@given(values, steps)
def test_quantiles_never_cross(past, ahead):
    found = bands(persistence(past, ahead))
    assert found.p10.shape == found.p50.shape == found.p90.shape == (ahead,)
    assert (found.p10 <= found.p50).all()
    assert (found.p50 <= found.p90).all()


@given(st.floats(-1e4, 1e4), st.integers(1, 30), steps)
def test_what_never_moved_stays(value, size, ahead):
    futures = persistence(np.full(size, value), ahead)
    assert (futures == value).all()


def test_a_value_moves_as_it_has_moved():
    climb = np.arange(10, dtype=float)
    assert bands(persistence(climb, 3)).p50 == pytest.approx(np.array([10.0, 11.0, 12.0]))


def test_a_step_out_of_reach_takes_the_longest_move_there_is():
    assert bands(persistence(np.array([1.0, 3.0]), 3)).p50 == pytest.approx(np.array([5.0, 5.0, 5.0]))
