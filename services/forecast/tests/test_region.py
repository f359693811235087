"""A region's step from ticks to forecasts."""

from datetime import timedelta

import numpy as np
import pytest

from carbonshift.common.events import DayAheadPrices, PriceMarket, Replay
from carbonshift.forecast.forecaster import Bands, Outlook
from carbonshift.forecast.region import heard, history_of, told
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.told_ahead import ToldAhead

SETTINGS = ForecastSettings()
STEPS = 3


def outlook(price, *, degraded=False):
    band = Bands(p10=np.full(STEPS, price - 1), p50=np.full(STEPS, price), p90=np.full(STEPS, price + 1))
    return Outlook(
        price_usd_per_mwh=band,
        carbon_g_per_kwh=band,
        spike_probability=np.linspace(0, 1, STEPS),
        spike_threshold_usd_per_mwh=90.0,
        degraded=degraded,
    )


def said(region, price, ahead=None, *, degraded=False):
    """The region after a forecast by one model, and the forecast."""
    history = history_of(region, ahead or ToldAhead(), STEPS, "UTC")
    return told(region, history, {"one": outlook(price, degraded=degraded)}, {})


def test_a_forecast_starts_where_the_known_past_ends(tick):
    run = Replay(run="r1", speed=60.0)
    _, forecast = said(heard(None, tick(0, replay=run), SETTINGS), 30.0, degraded=True)
    assert forecast.origin == tick(0).interval_end
    assert forecast.step_seconds == 300
    assert forecast.price_usd_per_mwh.p10 == (29.0, 29.0, 29.0)
    assert forecast.spike_probability == (0.0, 0.5, 1.0)
    assert forecast.price_models == forecast.carbon_models == {"one": 1.0}
    assert forecast.skill == {}
    assert forecast.price_known_steps == 0
    assert forecast.replay == run
    assert forecast.degraded


def test_once_due_a_forecast_is_judged_by_what_came(tick):
    region, _ = said(heard(None, tick(0, 30.0), SETTINGS), 30.0)
    for number, price in enumerate((31.0, 32.0, 33.0), start=1):
        region = heard(region, tick(number, price), SETTINGS)
    assert region.cadence.waiting
    region, forecast = said(region, 33.0)
    judged = forecast.skill["one"]
    assert judged == forecast.skill["blend"]
    assert judged.price_mae_usd_per_mwh == pytest.approx(2.0)  # of its first step and its last
    assert judged.price_coverage == pytest.approx(0.5)
    assert not region.cadence.waiting


@pytest.mark.parametrize("market", PriceMarket)
def test_what_is_published_is_known_in_its_own_market_to_the_last_digit(tick, market):
    region = heard(None, tick(0, 30.0, price_market=market), SETTINGS)
    end = tick(0).interval_end
    prices = DayAheadPrices(
        region="caiso",
        published_at=end,
        step_seconds=300,
        first_interval_start=end - timedelta(seconds=300),
        prices_usd_per_mwh=(30.0, 91.123456789, 12.5),
    )
    _, forecast = said(region, 40.0, ToldAhead().hear(prices))
    if market is PriceMarket.DAY_AHEAD:
        quantiles = forecast.price_usd_per_mwh
        assert quantiles.p10[:2] == quantiles.p50[:2] == quantiles.p90[:2] == (91.123456789, 12.5)
        assert (forecast.price_known_steps, forecast.spike_probability) == (2, (1.0, 0.0, 1.0))
    else:
        assert (forecast.price_known_steps, forecast.price_usd_per_mwh.p50[0]) == (0, 40.0)


def test_another_run_starts_from_nothing(tick):
    region, _ = said(heard(None, tick(0), SETTINGS), 30.0)
    other = heard(region, tick(1, replay=Replay(run="r2")), SETTINGS)
    assert other.record.claims == ()
    assert other.cadence.waiting
    assert other.memory.history().price_usd_per_mwh.size == 1
