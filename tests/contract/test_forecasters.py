"""What every registered forecaster keeps, and one from outside the tree too."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.plugins import load_plugin, plugin_names
from carbonshift.forecast.errors import NoSignalError
from carbonshift.forecast.forecaster import Forecaster, History
from carbonshift.forecast.settings import ForecastSettings

GROUP = "carbonshift.forecasters"
START = datetime(2026, 1, 1, tzinfo=UTC)
OUTSIDE = """
import numpy as np
from carbonshift.forecast.errors import NoSignalError
from carbonshift.forecast.forecaster import Bands, Outlook

class Median:
    name = "outside"

    def __init__(self, settings):
        pass

    def predict(self, history, steps):
        def flat(values):
            if np.isnan(values).all():
                raise NoSignalError("nothing is known", "look at the source")
            band = np.full(steps, np.nanmedian(values))
            return Bands(p10=band, p50=band, p90=band)

        return Outlook(
            price_usd_per_mwh=flat(history.price_usd_per_mwh),
            carbon_g_per_kwh=flat(history.carbon_g_per_kwh),
            spike_probability=np.zeros(steps),
            spike_threshold_usd_per_mwh=float(np.nanmax(history.price_usd_per_mwh)),
            degraded=True,
        )
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution of somebody else's: one module, one entry point."""
    (tmp_path / "outside_forecast.py").write_text(OUTSIDE)
    info = tmp_path / "outside_forecast-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-forecast\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\noutside = outside_forecast:Median\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "outside_forecast", raising=False)


def made(name: str) -> Forecaster:
    forecaster: Forecaster = load_plugin(GROUP, name)(ForecastSettings())
    return forecaster


def history(price, carbon, step_seconds):
    arrays = [np.array(values, dtype=float) for values in (price, carbon)]
    for values in arrays:
        values.setflags(write=False)
    return History(
        origin=START + timedelta(seconds=step_seconds * len(price)),
        step_seconds=step_seconds,
        price_usd_per_mwh=arrays[0],
        carbon_g_per_kwh=arrays[1],
    )


def keeps_its_word(forecaster: Forecaster, past: History, steps: int) -> None:
    outlook = forecaster.predict(past, steps)
    for bands in (outlook.price_usd_per_mwh, outlook.carbon_g_per_kwh):
        for quantile in (bands.p10, bands.p50, bands.p90):
            assert quantile.shape == (steps,)
            assert np.isfinite(quantile).all()
        assert (bands.p10 <= bands.p50).all()
        assert (bands.p50 <= bands.p90).all()
    assert (outlook.carbon_g_per_kwh.p10 >= 0).all()
    assert outlook.spike_probability.shape == (steps,)
    assert ((outlook.spike_probability >= 0) & (outlook.spike_probability <= 1)).all()
    assert np.isfinite(outlook.spike_threshold_usd_per_mwh)
    again = forecaster.predict(past, steps)
    np.testing.assert_array_equal(again.price_usd_per_mwh.p50, outlook.price_usd_per_mwh.p50)
    assert again.degraded == outlook.degraded


@st.composite
def histories(draw):
    """Long enough to fit or not, with gaps, standing still, jumping: whatever a region's past may be."""
    step_seconds = draw(st.sampled_from([300, 900, 3_600]))
    size = draw(st.integers(1, 400))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    level = draw(st.sampled_from([0.0, 1.0, 40.0, 9_000.0]))
    price = level + draw(st.sampled_from([0.0, 1e-9, 1.0, 500.0])) * random.standard_t(2, size).clip(-50, 50)
    carbon = np.maximum(0.0, level + draw(st.sampled_from([0.0, 5.0, 300.0])) * random.normal(size=size))
    for values in (price, carbon):
        stuck = draw(st.integers(0, size - 1))
        values[stuck : stuck + draw(st.integers(0, size))] = values[stuck]
        values[random.random(size) < draw(st.sampled_from([0.0, 0.05, 0.9]))] = np.nan
        values[draw(st.integers(0, size - 1))] = level
    return history(price, carbon, step_seconds)


@pytest.fixture(params=plugin_names(GROUP))
def forecaster(request):
    return made(request.param)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(past=histories(), steps=st.integers(1, 60))
def test_whatever_the_past_the_outlook_is_whole(forecaster, past, steps):
    keeps_its_word(forecaster, past, steps)


def test_it_goes_by_the_name_it_is_registered_under(forecaster):
    assert forecaster.name in plugin_names(GROUP)


@pytest.mark.parametrize("missing", ["price", "carbon"])
def test_a_signal_of_which_nothing_is_known_is_refused(forecaster, missing):
    known, nothing = np.arange(100.0), np.full(100, np.nan)
    past = history(nothing if missing == "price" else known, nothing if missing == "carbon" else known, 300)
    with pytest.raises(NoSignalError):
        forecaster.predict(past, 48)


@pytest.mark.usefixtures("outside")
def test_a_forecaster_from_outside_the_tree_needs_no_edit_within():
    assert "outside" in plugin_names(GROUP)
    keeps_its_word(made("outside"), history(np.arange(100.0), np.arange(100.0), 300), 48)
