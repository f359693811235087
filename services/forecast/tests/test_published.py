"""Prices that are known before their time."""

import numpy as np
import pytest

from carbonshift.common.events import PriceMarket
from carbonshift.forecast.opinion import CARBON, PRICE, SPIKE, opinion_of
from carbonshift.forecast.published import known_ahead, with_known

NAN = np.nan


@pytest.mark.parametrize(
    ("ahead", "known"),
    [([], []), ([7.0, -8.0], [7.0, -8.0]), ([7.0, NAN, 9.0], [7.0]), ([NAN, 8.0], []), ([0.0, 8.0, NAN], [0.0, 8.0])],
)
def test_a_price_is_known_up_to_the_first_that_is_not(history, ahead, known):
    """What was published of the past, or not, is another matter."""
    past = history(3, price_market=PriceMarket.DAY_AHEAD, published_usd_per_mwh=np.array([1.0, NAN, 3.0, *ahead]))
    assert known_ahead(past).tolist() == known


def test_where_nothing_was_ever_published_nothing_is_known(history):
    assert known_ahead(history(3, price_market=PriceMarket.DAY_AHEAD)).size == 0


def test_in_a_real_time_market_nothing_is_known(history):
    past = history(3, price_market=PriceMarket.REAL_TIME, published_usd_per_mwh=np.arange(6.0))
    assert known_ahead(past).size == 0


def test_a_known_price_leaves_no_doubt(outlook):
    opinion = opinion_of(outlook(4))
    found = with_known(opinion, np.array([90.0, 90.1]), 90.0)
    assert found[PRICE][:, :2].tolist() == [[90.0, 90.1]] * 3
    np.testing.assert_array_equal(found[PRICE][:, 2:], opinion[PRICE][:, 2:])
    assert found[SPIKE][0, :2].tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(found[SPIKE][0, 2:], opinion[SPIKE][0, 2:])
    np.testing.assert_array_equal(found[CARBON], opinion[CARBON])


def test_what_is_known_beyond_the_steps_is_of_no_use(outlook):
    found = with_known(opinion_of(outlook(2)), np.array([1.0, 2.0, 3.0]), 2.0)
    assert found[PRICE].tolist() == [[1.0, 2.0]] * 3
    assert found[SPIKE].tolist() == [[0.0, 0.0]]


def test_the_opinion_itself_stays_as_it_was(outlook):
    opinion = opinion_of(outlook(2))
    with_known(opinion, np.array([1.0]), 0.0)
    np.testing.assert_array_equal(opinion[PRICE], opinion_of(outlook(2))[PRICE])
    np.testing.assert_array_equal(opinion[SPIKE], opinion_of(outlook(2))[SPIKE])
