"""Where price and carbon stand between the trailing quantiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, TransitionFacts
from carbonshift.explain.norms import norms_of

BANDS = ("price_low_usd_per_mwh", "price_high_usd_per_mwh", "carbon_low_g_per_kwh", "carbon_high_g_per_kwh")
values = st.floats(-1e6, 1e6)


def facts(*bands):
    return TransitionFacts(
        price_usd_per_mwh=None,
        carbon_g_per_kwh=None,
        carbon_basis=CarbonBasis.AVERAGE,
        thresholds={},
        recent_interval_starts=(),
        recent_prices_usd_per_mwh=(),
        recent_carbon_g_per_kwh=(),
        **dict(zip(BANDS, bands, strict=True)),
    )


@pytest.mark.parametrize("missing", range(4))
def test_without_any_one_quantile_there_is_no_norm(missing):
    bands = [0.0, 100.0, 0.0, 500.0]
    bands[missing] = None
    assert norms_of(50.0, 250.0, facts(*bands)) is None


def test_quantiles_that_meet_or_are_the_wrong_way_round_give_no_norm():
    assert norms_of(50.0, 250.0, facts(50.0, 50.0, 0.0, 500.0)) is None
    assert norms_of(50.0, 250.0, facts(0.0, 100.0, 500.0, 0.0)) is None


def test_each_signal_is_held_against_its_own_quantiles():
    assert norms_of(-20.0, 100.0, facts(-40.0, 40.0, 0.0, 400.0)) == (0.25, 0.25)


@given(values, values)
def test_a_norm_is_clamped(price, carbon):
    price_norm, carbon_norm = norms_of(price, carbon, facts(0.0, 100.0, 0.0, 500.0))
    assert 0 <= price_norm <= 1
    assert 0 <= carbon_norm <= 1
    assert price_norm == 0 or price > 0
    assert (price_norm == 1) == (price >= 100)
