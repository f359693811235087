"""The provider's own forecast among the others."""

import numpy as np
import pytest

from carbonshift.forecast.opinion import CARBON
from carbonshift.forecast.provided import provider_opinion


@pytest.mark.parametrize("told", [np.empty(0), np.full(4, np.nan), np.full(6, np.nan)])
def test_who_says_nothing_has_no_opinion(history, outlook, told):
    assert provider_opinion(history(provided_g_per_kwh=told), outlook(4)) is None


def test_its_numbers_lie_in_the_spread_of_the_baseline(history, outlook):
    """A step of which it does not speak, or that lies beyond what it told, is the baseline's."""
    told = np.array([500.0, np.nan, 100.0])
    opinion = provider_opinion(history(provided_g_per_kwh=told), outlook(4))
    assert list(opinion) == [CARBON]
    np.testing.assert_allclose(
        opinion[CARBON], [[490.0, 210.1, 90.0, 210.3], [500.0, 220.1, 100.0, 220.3], [510.0, 230.1, 110.0, 230.3]]
    )


def test_what_it_tells_beyond_the_forecast_is_of_no_use(history, outlook):
    opinion = provider_opinion(history(provided_g_per_kwh=np.arange(100.0, 110.0)), outlook(2))
    np.testing.assert_allclose(opinion[CARBON][1], [100.0, 101.0])


def test_carbon_is_never_negative(history, outlook):
    opinion = provider_opinion(history(provided_g_per_kwh=np.array([3.0, 0.0])), outlook(2))
    np.testing.assert_allclose(opinion[CARBON], [[0.0, 0.0], [3.0, 0.0], [13.0, 10.0]])
