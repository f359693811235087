"""What every registered source keeps."""

import inspect
import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.common.plugins import load_plugin, plugin_names
from carbonshift.common.tape import Sidecar, TapeRow, write_tape
from carbonshift.ingest.carbon_forecast import CarbonForecaster
from carbonshift.ingest.errors import SourceUnavailableError
from carbonshift.ingest.fuel_feed import fuel_mixes
from carbonshift.ingest.fuel_mix import FuelMixer
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import WebPool

GROUP = "carbonshift.sources"
START = datetime(2026, 1, 14, 12, tzinfo=UTC)
READ_A_FILE = {"recording", "faulty"}


@pytest.fixture(params=plugin_names(GROUP))
async def source(request, tmp_path, grid, monkeypatch):
    """The source, over what the providers' stand-in has published by now, or over a tape of its own hours."""
    tape = tmp_path / "t.csv"
    rows = [TapeRow(START + timedelta(minutes=5 * n), float(n), 2.0 * n + 600) for n in range(-288, 288)]
    write_tape(tape, rows, Sidecar(step_seconds=300))
    monkeypatch.setenv("CARBONSHIFT_FAULTS", '{"source": "recording", "null": 0.2, "zero": 0.2, "freeze": 0.2}')
    for name, value in grid.settings().items():
        monkeypatch.setenv(name, value)
    async with WebPool(5.0) as web:
        yield load_plugin(GROUP, request.param)(IngestSettings(tape=tape), web)


def shifted(source, hours):
    """Hours counted from the beginning of the tape, or of a recent day for a source that asks its provider."""
    begin = START if source.name in READ_A_FILE else datetime.now(UTC) - timedelta(hours=18)
    return begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)


def test_it_says_what_it_is(source):
    assert source.name in plugin_names(GROUP)
    assert source.signals
    assert source.signals <= frozenset(Signal)
    assert source.interval_seconds > 0
    assert isinstance(source.carbon_basis, CarbonBasis)
    assert isinstance(source.price_market, PriceMarket)
    assert ZoneInfo(source.time_zone)
    assert inspect.iscoroutinefunction(source.fetch)


async def test_readings_are_within_the_span_in_order_and_once(source):
    for signal in source.signals:
        for first, after in ((0, 6), (6, 12), (3, 9), (2, 3)):
            span = shifted(source, first), shifted(source, after)
            readings = await source.fetch(signal, "caiso", *span)
            starts = [reading.interval_start for reading in readings]
            assert readings
            assert all(isinstance(reading, Reading) for reading in readings)
            assert starts == sorted(set(starts))
            assert all(span[0] <= moment < span[1] for moment in starts)
            assert all(moment.timestamp() % source.interval_seconds == 0 for moment in starts)
            assert all(r.value is None or math.isfinite(r.value) for r in readings)


async def test_a_signal_it_does_not_tell_gives_nothing(source):
    for signal in frozenset(Signal) - source.signals:
        assert await source.fetch(signal, "caiso", shifted(source, 0), shifted(source, 2)) == []


async def test_an_outage_is_one_clear_error(source, grid):
    if source.name in READ_A_FILE:
        pytest.skip("it reads a file, which is never away")
    grid.fault_rate, grid.random_faults = 1.0, ("503",)
    (signal,) = source.signals
    with pytest.raises(SourceUnavailableError, match="answered 503"):
        await source.fetch(signal, "caiso", shifted(source, 0), shifted(source, 2))


async def test_a_forecast_is_of_hours_to_come_in_order_and_once(source):
    if not isinstance(source, CarbonForecaster):
        pytest.skip("it forecasts nothing")
    assert Signal.CARBON in source.signals
    now = datetime.now(UTC)
    forecast = await source.forecast("caiso", now)
    starts = [reading.interval_start for reading in forecast.readings]
    assert abs(forecast.published_at - now) <= timedelta(seconds=source.interval_seconds)
    assert starts == sorted(set(starts))
    assert starts[-1] > now + timedelta(hours=1)
    assert all(moment.timestamp() % source.interval_seconds == 0 for moment in starts)
    assert all(r.value is None or math.isfinite(r.value) for r in forecast.readings)


async def test_an_outage_of_a_forecast_is_one_clear_error(source, grid):
    if not isinstance(source, CarbonForecaster):
        pytest.skip("it forecasts nothing")
    grid.fault_rate, grid.random_faults = 1.0, ("503",)
    with pytest.raises(SourceUnavailableError, match="answered 503"):
        await source.forecast("caiso", datetime.now(UTC))


async def test_a_fuel_mix_is_within_the_span_in_order_and_once(source):
    if not isinstance(source, FuelMixer):
        pytest.skip("it tells no fuel mix")
    assert Signal.CARBON in source.signals
    for first, after in ((0, 6), (6, 12), (3, 9), (2, 3)):
        span = shifted(source, first), shifted(source, after)
        told = await source.fuel_mix("caiso", *span)
        starts = [supply.interval_start for supply in told]
        assert starts == sorted(set(starts))
        assert len(starts) == (span[1] - span[0]) // timedelta(seconds=source.interval_seconds)
        assert all(span[0] <= moment < span[1] for moment in starts)
        assert len(fuel_mixes("caiso", source, told)) == len(told)


async def test_an_outage_of_a_fuel_mix_is_one_clear_error(source, grid):
    if not isinstance(source, FuelMixer):
        pytest.skip("it tells no fuel mix")
    grid.fault_rate, grid.random_faults = 1.0, ("503",)
    with pytest.raises(SourceUnavailableError, match="answered 503"):
        await source.fuel_mix("caiso", shifted(source, 0), shifted(source, 2))
