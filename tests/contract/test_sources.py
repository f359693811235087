"""What every registered source keeps."""

import inspect
from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.common.plugins import load_plugin, plugin_names
from carbonshift.common.tape import Sidecar, TapeRow, write_tape
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings

GROUP = "carbonshift.sources"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=plugin_names(GROUP))
def source(request, tmp_path):
    tape = tmp_path / "t.csv"
    rows = [TapeRow(START + timedelta(minutes=5 * n), float(n), 2.0 * n) for n in range(24)]
    write_tape(tape, rows, Sidecar(step_seconds=300))
    return load_plugin(GROUP, request.param)(IngestSettings(tape=tape, source=request.param))


def test_it_says_what_it_is(source):
    assert source.name in plugin_names(GROUP)
    assert source.signals
    assert source.signals <= frozenset(Signal)
    assert source.interval_seconds > 0
    assert isinstance(source.carbon_basis, CarbonBasis)
    assert isinstance(source.price_market, PriceMarket)
    assert inspect.iscoroutinefunction(source.fetch)


async def test_readings_are_within_the_span_in_order_and_once(source):
    for signal in source.signals:
        for start, end in ((0, 6), (6, 12), (3, 9), (20, 40), (40, 50)):
            span = START + timedelta(minutes=5 * start), START + timedelta(minutes=5 * end)
            readings = await source.fetch(signal, "caiso", *span)
            starts = [reading.interval_start for reading in readings]
            assert all(isinstance(reading, Reading) for reading in readings)
            assert starts == sorted(set(starts))
            assert all(span[0] <= moment < span[1] for moment in starts)
