"""Every service as a process, seen as an operator sees it: its endpoint, its metrics, its log."""

import asyncio
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from carbonshift.common.events import CarbonBasis, GridState, GridTick, PriceMarket, Quality
from carbonshift.common.settings import SERVICES

PATIENCE_SECONDS = 60.0
SECRETS = {
    "OPENAI_API_KEY": "sk-of-openai-4711",
    "ANTHROPIC_API_KEY": "sk-of-anthropic-4711",
    "WATTTIME_PASSWORD": "password-of-watttime",
    "ELECTRICITYMAPS_API_KEY": "key-of-electricitymaps",
}
NOBODY = "http://127.0.0.1:9"
OWN = {
    "ingest": 'carbonshift_ingest_events_total{kind="tick"} 1.0',
    "decide": 'carbonshift_decide_state{clock="wall",region="caiso",state="AMBER"} 1.0',
    "forecast": 'faststream_received_messages_total{app_name="forecast",broker="nats",handler="carbonshift.tick.*"}',
    "explain": 'destination="carbonshift.narrative.*",status="success"}',
    "gpu-worker": 'carbonshift_power_limit_watts{clock="wall"',
    "dashboard": 'carbonshift_dashboard_events_total{kind="state"}',
}
"""Of each service, what its metrics show once a tick has been decided."""


def tick():
    step = timedelta(minutes=5)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return GridTick(
        region="caiso",
        interval_start=start,
        interval_seconds=step.seconds,
        price_usd_per_mwh=30.0,
        carbon_g_per_kwh=300.0,
        carbon_basis=CarbonBasis.MARGINAL,
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="test",
        carbon_source="test",
        observed_at=start + step,
    )


async def eventually(find):
    """What `find` returns, once it is true: it looks at other processes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await find()):
            await asyncio.sleep(0.1)
        return found


async def test_every_service_is_ready_counts_and_tells_in_json_without_a_secret(bus, start, tmp_path, subtests):
    logs = {service: tmp_path / f"{service}.log" for service in SERVICES}
    for service, log in logs.items():
        start(
            f"carbonshift.{service.replace('-', '_')}",
            log=log,
            NATS_URL=bus.url,
            CARBONSHIFT_HTTP_PORT="0",
            CARBONSHIFT_LOG_FORMAT="json",
            CARBONSHIFT_LOG_LEVEL="DEBUG",
            CARBONSHIFT_STATE_DIR=str(tmp_path / service),
            CARBONSHIFT_DEVICE_BACKEND="simulated",
            CARBONSHIFT_TAPE="fr_2018_hourly",
            CARBONSHIFT_SPEED="1",  # one tick, and the next in an hour
            CARBONSHIFT_ANSWER_SECONDS="0",
            OPENAI_BASE_URL=NOBODY,
            ANTHROPIC_BASE_URL=NOBODY,
            **SECRETS,
        )
    async with httpx.AsyncClient(timeout=10) as client:
        urls = {service: await eventually(lambda log=log: url_in(log)) for service, log in logs.items()}
        for url in urls.values():
            await eventually(lambda url=url: answers(client, f"{url}readyz"))
            assert (await client.get(f"{url}healthz")).json() == {"status": "alive"}
        await bus.publish(tick())
        await bus.collect(GridState, until=tick().interval_start)
        for service, url in urls.items():
            shown = await eventually(lambda url=url, own=OWN[service]: answers(client, f"{url}metrics", own))
            assert 'carbonshift_ready{part="broker"} 1.0' in shown
            assert "process_cpu_seconds_total" in shown
            with subtests.test("promtool", service=service):
                lint(shown)
    for service, log in logs.items():
        text = log.read_text()
        for line in map(json.loads, text.splitlines()):
            assert {"time", "level", "logger", "service", "message"} <= line.keys()
            assert line["service"] == service
            assert datetime.fromisoformat(line["time"]).tzinfo is UTC
        assert not [secret for secret in SECRETS.values() if secret in text]


def test_what_keeps_a_service_from_starting_is_json_too(start, tmp_path):
    log = tmp_path / "log"
    environment = {"NATS_URL": "nats://127.0.0.1:9", "CARBONSHIFT_PRICE_SOURCES": "nobody"}
    assert start("carbonshift.ingest", log=log, CARBONSHIFT_LOG_FORMAT="json", **environment).wait(30) == 2
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["level"] == "critical"
    assert "nothing is registered as 'nobody'" in line["message"]


async def url_in(log):
    """Where the service says that it answers."""
    found = re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()) if log.exists() else None
    return found and found[0]


async def answers(client, url, text=""):
    """The body of a 200 that has `text` in it."""
    answer = await client.get(url)
    return answer.text if answer.status_code == 200 and text in answer.text else None


def lint(shown):
    """Fails on what promtool finds against the names."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: apt-get install --no-install-recommends prometheus")
    found = subprocess.run([promtool, "check", "metrics"], input=shown, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
