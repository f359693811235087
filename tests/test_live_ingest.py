"""ingest as a process, against providers on loopback: killed and started again, watched, and with its keys kept."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from carbonshift.common.events import Fuel, FuelMix, GridTick, ProvidedForecast, Quality

STEP = timedelta(minutes=5)


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_killed_ingest_leaves_no_gap_and_says_nothing_twice(bus, start, grid, free_port, tmp_path):
    environment = grid.settings() | {
        "NATS_URL": bus.url,
        "CARBONSHIFT_PRICE_SOURCES": "caiso-rtm",
        "CARBONSHIFT_CARBON_SOURCES": "watttime",
        "CARBONSHIFT_DAY_AHEAD_SOURCE": "caiso-dam",
        "CARBONSHIFT_HTTP_PORT": str(free_port),
        "CARBONSHIFT_LOG_LEVEL": "DEBUG",
    }
    log = tmp_path / "log"
    first = start("carbonshift.ingest", log=log, **environment)
    await bus.collect(GridTick, when=lambda found: len(found) >= 50)
    first.send_signal(signal.SIGKILL)
    first.wait()
    asked = len(grid.asked("watttime"))
    start("carbonshift.ingest", log=log, **environment)
    metrics = await answer(f"http://127.0.0.1:{free_port}/metrics")
    while len(grid.asked("watttime")) < asked + 2:
        await asyncio.sleep(0.1)
    recent = datetime.now(UTC) - timedelta(minutes=20)
    ticks = await bus.collect(GridTick, when=lambda found: found and found[-1].interval_start >= recent)
    firsts = [tick.interval_start for tick in ticks if not tick.revision]
    assert firsts == [firsts[0] + STEP * n for n in range(len(firsts))]
    assert len({tick.id for tick in ticks}) == len(ticks)
    for tick in ticks:
        if tick.carbon_quality is Quality.OBSERVED:
            assert tick.carbon_g_per_kwh == pytest.approx(grid.truth.carbon_g_per_kwh(tick.interval_start), abs=1e-4)
        assert tick.price_usd_per_mwh == pytest.approx(grid.truth.price_usd_per_mwh(tick.interval_start), abs=1e-4)
    (forecast,) = await bus.collect(ProvidedForecast, when=bool)
    assert forecast.source == "watttime"
    assert forecast.carbon_g_per_kwh[0] == pytest.approx(
        grid.truth.carbon_g_per_kwh(forecast.first_interval_start), abs=0.00501
    )
    said = log.read_text()
    assert "follows the price of caiso-rtm" in said
    secrets = [v for k, v in environment.items() if k.endswith(("PASSWORD", "KEY", "USERNAME"))]
    assert len(secrets) == 3
    assert not [secret for secret in (*secrets, "Bearer") if secret in said]
    assert "carbonshift_ingest_publication_delay_seconds" in metrics


async def test_the_carbon_source_tells_its_fuels_beside_the_ticks(bus, start, grid, tmp_path):
    environment = grid.settings() | {
        "NATS_URL": bus.url,
        "CARBONSHIFT_PRICE_SOURCES": "caiso-rtm",
        "CARBONSHIFT_CARBON_SOURCES": "caiso-outlook",
    }
    start("carbonshift.ingest", log=tmp_path / "log", **environment)
    recent = datetime.now(UTC) - timedelta(minutes=20)
    mixes = await bus.collect(FuelMix, until=recent)
    ticks = await bus.collect(GridTick, when=lambda found: found and found[-1].interval_start >= recent)
    assert {(mix.source, mix.region) for mix in mixes} == {("caiso-outlook", ticks[0].region)}
    assert len({mix.id for mix in mixes}) == len(mixes)
    assert all(mix.power_w[Fuel.GAS] > 0 for mix in mixes)


async def answer(url):
    """The body, once the server is up."""
    async with httpx.AsyncClient() as client:
        while True:
            try:
                return (await client.get(url)).text
            except httpx.ConnectError:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize(("changes", "text"), [
    ({"CARBONSHIFT_PRICE_SOURCES": "caiso"}, "carbonshift.sources: nothing is registered as 'caiso'; installed: "),
    ({"CARBONSHIFT_CARBON_SOURCES": ""}, "no source of the carbon is set; set CARBONSHIFT_CARBON_SOURCES"),
    ({"CARBONSHIFT_CARBON_SOURCES": "caiso-rtm"}, "caiso-rtm tells no carbon"),
    ({"CARBONSHIFT_CARBON_SOURCES": "watttime,caiso-outlook"}, "do not tell the same carbon: average, marginal"),
    ({"CARBONSHIFT_CARBON_SOURCES": "watttime", "WATTTIME_PASSWORD": ""}, "WATTTIME_PASSWORD is not set"),
    ({"CARBONSHIFT_CAISO_URL": "caiso"}, "'caiso' is no base URL"),
    ({"CARBONSHIFT_CAISO_URL": "https://me:secret@host/x"}, "caiso-rtm: 'host/x' is no base URL"),
    ({"CARBONSHIFT_CAISO_URL": "http://ho st/x"}, "is no base URL"),
    ({"CARBONSHIFT_CARBON_SOURCES": "caiso-outlook,caiso-outlook"}, "caiso-outlook stands twice"),
    ({"CARBONSHIFT_FAULTS": '{"zero": 0.1}'}, "CARBONSHIFT_FAULTS is set and no source is `faulty`"),
    ({"CARBONSHIFT_CAISO_NODE": "a b"}, "CARBONSHIFT_CAISO_NODE"),
    ({"CARBONSHIFT_DAY_AHEAD_SOURCE": "caiso-rtm"}, "caiso-rtm tells no day-ahead prices"),
])  # fmt: skip
def test_what_does_not_fit_is_one_line_and_exit_code_two(bus, grid, changes, text):
    result = ingest(bus, grid, **changes)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert text in result.stderr


def test_up_does_not_start_again_what_does_not_take_its_settings(carbonshift):
    result = carbonshift("up", "ingest", CARBONSHIFT_PRICE_SOURCES="nobody")
    assert result.returncode == 2
    assert result.stderr.count("nothing is registered as 'nobody'") == 1
    assert result.stderr.strip().endswith("ingest does not take its settings; its own line above says what to mend")


def test_a_port_that_is_taken_is_one_line_and_exit_code_two(bus, grid):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = ingest(bus, grid, CARBONSHIFT_HTTP_PORT=str(port))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith(f"carbonshift: cannot listen on 127.0.0.1 port {port}")


def ingest(bus, grid, **changes):
    environment = grid.settings() | {
        "NATS_URL": bus.url,
        "CARBONSHIFT_PRICE_SOURCES": "caiso-rtm",
        "CARBONSHIFT_CARBON_SOURCES": "caiso-outlook",
    }
    return subprocess.run(
        [sys.executable, "-m", "carbonshift.ingest"],
        env=os.environ | environment | changes,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
