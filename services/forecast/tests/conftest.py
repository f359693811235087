"""Ticks for tests of forecast."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Quality

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def tick():
    """Makes the n-th tick of a region: `tick(3, price, carbon)`; a value of None is missing."""

    def make(number, price=30.0, carbon=300.0, **changes) -> GridTick:
        values = {
            "region": "caiso",
            "interval_start": START + timedelta(seconds=300 * number),
            "interval_seconds": 300,
            "price_usd_per_mwh": price,
            "carbon_g_per_kwh": carbon,
            "carbon_basis": CarbonBasis.MARGINAL,
            "price_quality": Quality.MISSING if price is None else Quality.OBSERVED,
            "carbon_quality": Quality.MISSING if carbon is None else Quality.OBSERVED,
            "price_market": PriceMarket.REAL_TIME,
            "price_source": "test",
            "carbon_source": "test",
            "observed_at": START + timedelta(seconds=300 * number),
        }
        return GridTick.model_validate(values | changes)

    return make
