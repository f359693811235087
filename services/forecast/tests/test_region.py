"""A region's step from ticks to forecasts."""

import numpy as np
import pytest

from carbonshift.common.events import Replay
from carbonshift.forecast.forecaster import Bands, Outlook
from carbonshift.forecast.region import heard, told
from carbonshift.forecast.settings import ForecastSettings

SETTINGS = ForecastSettings()


def outlook(price, steps=3, *, degraded=False):
    band = Bands(p10=np.full(steps, price - 1), p50=np.full(steps, price), p90=np.full(steps, price + 1))
    return Outlook(
        price_usd_per_mwh=band,
        carbon_g_per_kwh=band,
        spike_probability=np.linspace(0, 1, steps),
        spike_threshold_usd_per_mwh=90.0,
        degraded=degraded,
    )


def test_a_forecast_starts_where_the_known_past_ends(tick):
    run = Replay(run="r1", speed=60.0)
    _, forecast = told(heard(None, tick(0, replay=run), SETTINGS), "autoreg", outlook(30.0, degraded=True))
    assert forecast.origin == tick(0).interval_end
    assert forecast.step_seconds == 300
    assert forecast.price_usd_per_mwh.p10 == (29.0, 29.0, 29.0)
    assert forecast.spike_probability == (0.0, 0.5, 1.0)
    assert forecast.models == {"autoreg": 1.0}
    assert forecast.recent_mae_usd_per_mwh == {"autoreg": None}
    assert forecast.replay == run
    assert forecast.degraded


def test_once_due_a_forecast_is_judged_by_what_came(tick):
    region, _ = told(heard(None, tick(0, 30.0), SETTINGS), "autoreg", outlook(30.0))
    for number, price in enumerate((31.0, 32.0, 33.0), start=1):
        region = heard(region, tick(number, price), SETTINGS)
    assert region.cadence.waiting
    region, forecast = told(region, "autoreg", outlook(33.0))
    assert forecast.recent_mae_usd_per_mwh == {"autoreg": pytest.approx(2.0)}
    assert not region.cadence.waiting


def test_another_run_starts_from_nothing(tick):
    region, _ = told(heard(None, tick(0), SETTINGS), "autoreg", outlook(30.0))
    other = heard(region, tick(1, replay=Replay(run="r2")), SETTINGS)
    assert other.claims == ()
    assert other.cadence.waiting
    assert other.memory.history().price_usd_per_mwh.size == 1
