"""95 % intervals: whole weeks at a time, and none where they would mean nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.backtest.resampling import WEEK_SECONDS, interval_of_ratio


def weekly(ratios, each=5, seed=0):
    """`each` starts in every week, all with the ratio of their week."""
    below = np.random.default_rng(seed).uniform(1.0, 2.0, len(ratios) * each)
    above = np.repeat(np.array(ratios, dtype=np.float64), each) * below
    starts = np.repeat(np.arange(len(ratios)), each) * WEEK_SECONDS
    return above, below, starts.astype(np.int64)


@given(ratios=st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_it_holds_the_ratio_and_lies_within_the_weeks(ratios):
    above, below, starts = weekly(ratios)
    low, high = interval_of_ratio(above, below, starts, seed=0)
    assert min(ratios) - 1e-9 <= low <= high <= max(ratios) + 1e-9
    if len(ratios) > 5:
        assert low - 1e-9 <= above.sum() / below.sum() <= high + 1e-9


def test_starts_of_one_week_count_as_one():
    """A hundred starts in each of ten weeks tell no more than one start in each."""
    ratios = np.random.default_rng(1).uniform(0, 1, 10)
    one, many = (interval_of_ratio(*weekly(ratios, each), seed=0) for each in (1, 100))
    assert many[1] - many[0] == pytest.approx(one[1] - one[0], rel=0.3)


def test_the_same_seed_gives_the_same_interval():
    arguments = weekly([0.1, 0.5, 0.9, 0.2])
    assert interval_of_ratio(*arguments, seed=3) == interval_of_ratio(*arguments, seed=3)


@pytest.mark.parametrize("weeks", [0, 1])
def test_fewer_than_two_weeks_have_none(weeks):
    assert interval_of_ratio(*weekly([0.5] * weeks), seed=0) is None


def test_where_what_is_divided_by_may_be_nothing_there_is_none():
    above, below, starts = weekly([0.5, 0.5, 0.5])
    assert interval_of_ratio(above, np.where(starts > 0, below, -10 * below), starts, seed=0) is None
