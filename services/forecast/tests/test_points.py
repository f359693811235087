"""Which steps a model is asked about."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.forecast.proposer.points import asked_points, between


@given(steps=st.integers(1, 1_000), step_seconds=st.integers(1, 100_000))
def test_the_points_lie_within_four_hours_and_reach_as_far_as_they_can(steps, step_seconds):
    points = asked_points(steps, step_seconds)
    assert 1 <= points.size <= 16
    assert points[0] == 0
    assert np.all(np.diff(points) >= 1)
    assert points[-1] < steps
    assert points[-1] == 0 or points[-1] * step_seconds < 4 * 3_600
    assert points[-1] + 1 == steps or (points[-1] + 2) * step_seconds > 4 * 3_600


@pytest.mark.parametrize(
    ("steps", "step_seconds", "asked"), [(48, 300, 16), (16, 900, 16), (4, 3_600, 4), (96, 900, 16)]
)
def test_as_many_points_as_there_are_steps_up_to_sixteen(steps, step_seconds, asked):
    assert asked_points(steps, step_seconds).size == asked


def test_a_line_joins_each_point_to_the_next():
    assert between(np.array([0, 2, 6]), np.array([[1.0, 3.0, -1.0]])).tolist() == [[1, 2, 3, 2, 1, 0, -1]]
    assert between(np.array([0]), np.array([[5.0]])).tolist() == [[5.0]]
