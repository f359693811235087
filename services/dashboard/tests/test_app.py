import asyncio
import json
import re
import socket
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest

from carbonshift.common.embedded import find_binary
from carbonshift.common.errors import InputError
from carbonshift.common.events import Pulse
from carbonshift.common.settings import Settings
from carbonshift.common.streams import declare_streams
from carbonshift.dashboard import app as dashboard
from carbonshift.dashboard.settings import DashboardSettings


async def region_of(client, check=bool):
    regions = (await client.get("/api/v1/snapshot")).raise_for_status().json()["regions"]
    return next((region for region in regions if check(region)), None)


@asynccontextmanager
async def messages(client):
    """The stream of events, a message each."""
    async with client.stream("GET", "/api/v1/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")

        async def each():
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

        yield each()


async def test_what_was_published_before_the_start_is_shown_with_its_history(broker_url, bus, serve, eventually, some):
    turned = some.state(29, Pulse.RED)
    await bus.publish(*(some.tick(index) for index in range(30)), *(some.state(index) for index in range(29)), turned)
    await bus.publish(some.transition(turned), some.narrative(turned, "<b>Dear</b>"), some.job())
    await bus.publish(some.telemetry(), some.telemetry(device="gpu-1"), some.change())
    async with serve(DashboardSettings(nats_url=broker_url)) as client:

        def complete(region):
            history = region["history"]
            return region["narrative"] and len(history["state"]) == 30 and None not in history["state"]

        region = await eventually(lambda: region_of(client, complete))
        assert region["state"]["state"] == "RED"
        assert region["state"]["previous"] == "AMBER"
        assert region["narrative"]["text"] == "\ufffdb>Dear\ufffd/b>"  # it tells the page nothing to obey
        assert region["history"]["price_usd_per_mwh"] == [40.0] * 30

        async def both():
            devices = (await client.get("/api/v1/snapshot")).json()["devices"]
            return devices if len(devices) == 2 and devices[0]["last_change"] else None

        first, second = await eventually(both)
        assert (first["device_uuid"], second["device_uuid"]) == ("gpu-0", "gpu-1")
        assert (first["power_w"], first["energy_basis"], first["remaining_steps"]) == (200.0, "modelled", 880)


async def test_a_published_event_reaches_an_open_page(client, bus, some):
    async with messages(client) as told, asyncio.timeout(15):
        assert (await anext(told))["whole"]
        await bus.publish(some.tick(0, price=-4.5))
        async for message in told:
            if message["regions"]:
                assert not message["whole"]
                assert message["regions"][0]["tick"]["price_usd_per_mwh"] == -4.5
                break


async def test_a_quiet_stream_still_shows_that_it_lives(client, bus, monkeypatch):
    monkeypatch.setattr(dashboard, "HEARTBEAT_SECONDS", 0.1)
    async with messages(client) as told, asyncio.timeout(15):
        seen = [await anext(told) for _ in range(4)]
    assert [message["whole"] for message in seen] == [True, False, False, False]


async def test_a_page_is_told_everything_again_now_and_then(client, bus, monkeypatch):
    monkeypatch.setattr(dashboard, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(dashboard, "WHOLE_SECONDS", 0.0)
    async with messages(client) as told, asyncio.timeout(15):
        assert [(await anext(told))["whole"] for _ in range(3)] == [True, True, True]


async def test_a_message_that_is_no_event_is_counted_and_the_next_one_shown(client, bus, eventually, some):
    await bus.publish_raw("carbonshift.tick.caiso", b'{"region": "caiso"}')
    await bus.publish(some.tick(1))
    assert await eventually(lambda: region_of(client))

    async def counted():
        return (await client.get("/api/v1/snapshot")).json()["unreadable_messages"] > 0

    assert await eventually(counted)
    shown = (await client.get("/metrics")).text
    assert 'carbonshift_dashboard_events_total{kind="tick"}' in shown
    assert re.search(r"^carbonshift_dashboard_unreadable_messages_total [12]\.0$", shown, re.MULTILINE)
    assert 'carbonshift_ready{part="feed"} 1.0' in shown


async def test_it_waits_for_streams_that_are_not_there_yet(client, broker_url, eventually, some):
    """The dashboard declares nothing: it may be the first to start, and it may be allowed to read only."""

    async def ready():
        return (await client.get("/readyz")).status_code == 200

    await eventually(ready)
    await declare_streams(Settings(nats_url=broker_url))
    other = await nats.connect(broker_url)
    tick = some.tick(0)
    await other.jetstream().publish(tick.subject("carbonshift"), tick.model_dump_json().encode())
    await other.close()
    assert await eventually(lambda: region_of(client))


@asynccontextmanager
async def nats_on(port, folder):
    """A server that may die and come back on the same port and store."""
    process = subprocess.Popen(  # noqa: ASYNC220  # returns at once
        [find_binary(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder, "-l", folder / "log"]
    )
    try:
        client = await nats.connect(f"nats://127.0.0.1:{port}", max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        yield client
        await client.close()
    finally:
        process.kill()
        process.wait()


async def test_it_outlives_the_broker(tmp_path, serve, eventually, some):
    """Consumers die with the server; what was published while the dashboard was cut off is there afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"nats://127.0.0.1:{port}"

    async def status(client):
        return (await client.get("/readyz")).status_code

    async with serve(DashboardSettings(nats_url=url)) as client:
        assert (await client.get("/readyz")).json() == {"status": "not ready", "missing": ["broker"]}
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        for index in range(2):
            tick = some.tick(index)
            async with nats_on(port, tmp_path) as broker:
                await declare_streams(Settings(nats_url=url))
                await broker.jetstream().publish(tick.subject("carbonshift"), tick.model_dump_json().encode())

                def shown(region, count=index + 1):
                    return len(region["history"]["state"]) == count

                assert await eventually(lambda shown=shown: region_of(client, shown))
                assert await status(client) == 200

            async def away():
                return await status(client) == 503

            assert await eventually(away)
        assert (await client.get("/api/v1/snapshot")).json()["broker_connected"] is False


@pytest.mark.parametrize(
    "path", ["/", "/static/page.js", "/static/page.css", "/static/icon.svg", "/api/v1/snapshot", "/no"]
)
async def test_every_answer_forbids_what_is_foreign(client, path):
    answer = await client.get(path)
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.status_code == (404 if path == "/no" else 200)


def test_the_page_brings_nothing_foreign_and_makes_no_markup_of_text():
    folder = Path(dashboard.STATIC)
    page = (folder / "index.html").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    assert "//" not in page.replace("<!doctype html>", "")
    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|DOMParser", script)


async def test_the_api_describes_itself_and_the_events(client):
    paths = (await client.get("/api/v1/openapi.json")).json()["paths"]
    assert {"/api/v1/snapshot", "/api/v1/events"} <= set(paths)
    assert "text/event-stream" in paths["/api/v1/events"]["get"]["responses"]["200"]["content"]
    assert (await client.get("/docs")).status_code == 404


async def test_without_a_broker_to_connect_to_it_does_not_start(monkeypatch):
    monkeypatch.delenv("NATS_URL", raising=False)
    app = dashboard.build(DashboardSettings())
    with pytest.raises(InputError, match="NATS_URL is not set"):
        async with app.router.lifespan_context(app):
            pass
