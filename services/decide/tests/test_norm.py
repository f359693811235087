"""The norm: between the trailing quantiles, whatever the unit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.decide.errors import FlatSignalError
from carbonshift.decide.norm import Band, robust_norm, spread_of

price = st.floats(-500, 9_000, allow_nan=False)
spread_prices = (
    st.lists(price, min_size=2, max_size=60)
    .map(lambda values: np.sort(np.array(values)))
    .filter(lambda values: np.quantile(values, 0.95) - np.quantile(values, 0.05) > 1)
)


@given(trailing=spread_prices)
def test_quantiles_are_those_of_numpy(trailing):
    band = Band()
    spread = spread_of(trailing, band)
    wanted = np.quantile(trailing, (band.low_quantile, band.optimal_quantile, band.high_quantile))
    assert (spread.low, spread.optimal, spread.high) == pytest.approx(tuple(wanted), rel=1e-9, abs=1e-9)


@given(trailing=spread_prices, value=price, factor=st.sampled_from([0.01, 0.5, 100.0]))
def test_a_change_of_unit_changes_no_norm(trailing, value, factor):
    """Cents or dollars, pounds or grams: the decision must not notice."""
    assert robust_norm(value * factor, spread_of(trailing * factor, Band())) == pytest.approx(
        robust_norm(value, spread_of(trailing, Band())), abs=1e-6
    )


@given(trailing=spread_prices, values=st.tuples(price, price))
def test_a_dearer_hour_never_has_the_lower_norm(trailing, values):
    low, high = (robust_norm(value, spread_of(trailing, Band())) for value in sorted(values))
    assert 0 <= low <= high <= 1


@given(value=price, count=st.integers(2, 50))
def test_a_flat_signal_has_no_norm(value, count):
    with pytest.raises(FlatSignalError):
        spread_of(np.full(count, value), Band())


@pytest.mark.parametrize("trailing", [[-1e308, 1e308], [-1.7e308, -1.6e308, 1.6e308, 1.7e308]])
def test_what_lies_further_apart_than_a_float_can_tell_has_no_norm(trailing):
    with pytest.raises(FlatSignalError):
        spread_of(np.array(trailing), Band())


def test_the_sign_of_a_zero_does_not_reach_the_norm():
    assert str(robust_norm(-0.0, spread_of(np.array([0.0, 0.0, 1.0]), Band()))) == "0.0"
