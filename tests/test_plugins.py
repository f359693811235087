"""A plug-in of each group, added from outside the tree: one file and one entry point, and the real thing uses it."""

import os
import subprocess
import sys

import pytest

PLUGINS = {
    "sources": "flat = outside:FlatSource",
    "policies": "always-red = outside:AlwaysRed",
    "forecasters": "ten = outside:Ten",
    "devices": "bench = outside:BenchBackend",
    "hooks": "mine = outside:MineHook",
}
MODULE = '''
"""Plug-ins of somebody else."""
from datetime import timedelta


class FlatSource:
    name = "flat"
    interval_seconds = 300
    time_zone = "UTC"

    def __init__(self, settings, web):
        from carbonshift.common.events import CarbonBasis, PriceMarket
        from carbonshift.ingest.reading import Signal

        self.signals = frozenset(Signal)
        self.carbon_basis, self.price_market = CarbonBasis.AVERAGE, PriceMarket.REAL_TIME

    async def fetch(self, signal, region, start, end):
        from carbonshift.ingest.reading import Reading

        count = int((end - start).total_seconds()) // 300
        return [Reading(start + timedelta(seconds=300 * n), 42.0) for n in range(count)]


class AlwaysRed:
    name = "always-red"

    def __init__(self, settings):
        pass

    def judge(self, history, tick, previous):
        from carbonshift.common.events import Pulse
        from carbonshift.decide.policy import Verdict

        return Verdict(state=Pulse.RED, reasons=("because",))


class Ten:
    name = "ten"

    def __init__(self, settings):
        pass

    def predict(self, history, steps):
        import numpy as np

        from carbonshift.forecast.forecaster import Bands, Outlook

        ten = np.full(steps, 10.0)
        bands = Bands(p10=ten, p50=ten, p90=ten)
        return Outlook(
            price_usd_per_mwh=bands,
            carbon_g_per_kwh=bands,
            spike_probability=np.zeros(steps),
            spike_threshold_usd_per_mwh=99.0,
            degraded=False,
        )


class BenchBackend:
    name = "bench"
    outlives_us = False

    def __init__(self, settings):
        from carbonshift.gpu_worker.devices.simulated import SimulatedBackend

        self._inner = SimulatedBackend(settings)

    def discover(self):
        return self._inner.discover()

    def inspect(self):
        return self._inner.inspect()


class MineHook:
    name = "mine"

    def install(self, step_done):
        print("mine is in", flush=True)
        return lambda: None
'''


@pytest.fixture
def outside(tmp_path):
    """A folder to put on PYTHONPATH: a distribution that is not in this repository."""
    folder = tmp_path / "outside"
    info = folder / "outside-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "outside.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    lines = (line for group, entry in PLUGINS.items() for line in (f"[carbonshift.{group}]", entry))
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return {"PYTHONPATH": str(folder)}


async def test_a_source_of_somebody_else_is_polled(bus, start, outside):
    from carbonshift.common.events import GridTick

    start(
        "carbonshift.ingest",
        NATS_URL=bus.url,
        CARBONSHIFT_PRICE_SOURCES="flat",
        CARBONSHIFT_CARBON_SOURCES="flat",
        CARBONSHIFT_REGION="moon",
        **outside,
    )
    ticks = await bus.collect(GridTick, when=lambda found: len(found) >= 12)
    assert {(t.region, t.price_usd_per_mwh, t.price_source) for t in ticks} == {("moon", 42.0, "flat")}


async def test_a_policy_of_somebody_else_decides(bus, start, carbonshift, outside):
    from carbonshift.common.events import GridState

    start("carbonshift.decide", NATS_URL=bus.url, CARBONSHIFT_POLICY="always-red", **outside)
    assert carbonshift("replay", "fr_2018_hourly", "--to", "2018-01-01T04:00Z", NATS_URL=bus.url).returncode == 0
    states = await bus.collect(GridState, when=lambda found: len(found) == 5)
    assert {(s.state, s.policy, s.reasons) for s in states} == {("RED", "always-red", ("because",))}


async def test_a_forecaster_of_somebody_else_forecasts(bus, start, carbonshift, outside):
    from carbonshift.common.events import GridForecast

    start("carbonshift.forecast", NATS_URL=bus.url, CARBONSHIFT_FORECASTERS="ten", **outside)
    assert carbonshift("replay", "fr_2018_hourly", "--to", "2018-01-03", NATS_URL=bus.url).returncode == 0
    (forecast, *_) = await bus.collect(GridForecast, when=lambda found: len(found) >= 1)
    assert (forecast.price_models, set(forecast.price_usd_per_mwh.p50)) == ({"ten": 1.0}, {10.0})


async def test_a_device_backend_of_somebody_else_is_driven(bus, start, outside, tmp_path):
    from carbonshift.common.events import WorkerEvent

    environment = {"CARBONSHIFT_DEVICE_BACKEND": "bench", "CARBONSHIFT_STATE_DIR": str(tmp_path / "worker")}
    start("carbonshift.gpu_worker", NATS_URL=bus.url, **environment, **outside)
    (registered, *_) = await bus.collect(WorkerEvent, when=lambda found: len(found) >= 1)
    assert (registered.event, registered.detail["backend"]) == ("registered", "bench")


async def test_a_hook_of_somebody_else_is_put_into_the_training(carbonshift, outside):
    training = "import torch; w = torch.nn.Parameter(torch.ones(1)); torch.optim.SGD([w], lr=0.1).step()"
    result = carbonshift("train", "--", sys.executable, "-c", training, CARBONSHIFT_HOOKS="mine", **outside)
    assert (result.returncode, result.stdout.strip()) == (0, "mine is in")


def test_an_unknown_name_is_refused_with_those_that_are_there(carbonshift, outside):
    result = subprocess.run(
        [sys.executable, "-m", "carbonshift.decide"],
        env=os.environ | outside | {"CARBONSHIFT_POLICY": "guess", "NATS_URL": "nats://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert len(result.stderr.strip().splitlines()) == 1


def test_doctor_lists_them_all(carbonshift, outside):
    result = carbonshift("doctor", "--json", **outside)
    for entry in PLUGINS.values():
        assert entry.partition(" ")[0] in result.stdout
