"""Ticks for tests of forecast."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Quality
from carbonshift.forecast.forecaster import Bands, History, Outlook

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


@pytest.fixture
def history():
    """Makes a past of prices and carbon that rise by one a step: `history(288, step_seconds=300)`."""

    def make(size=288, **changes) -> History:
        values = {
            "origin": START + timedelta(hours=20),
            "step_seconds": 300,
            "price_usd_per_mwh": np.arange(size) / 10.0,
            "carbon_g_per_kwh": 200.0 + np.arange(size) / 10.0,
        }
        return History(**values | changes)

    return make


@pytest.fixture
def outlook():
    """Makes an outlook whose numbers tell their step: `outlook(48)`."""

    def make(steps=48) -> Outlook:
        ahead = np.arange(steps) / 10.0
        return Outlook(
            price_usd_per_mwh=Bands(p10=ahead + 10.0, p50=ahead + 20.0, p90=ahead + 30.0),
            carbon_g_per_kwh=Bands(p10=ahead + 210.0, p50=ahead + 220.0, p90=ahead + 230.0),
            spike_probability=np.linspace(0.0, 1.0, steps),
            spike_threshold_usd_per_mwh=90.0,
            degraded=False,
        )

    return make
