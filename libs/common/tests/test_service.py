"""A service seen from outside, from before its broker is there until after it has come back."""

import asyncio
import socket
import subprocess
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest
from faststream import AckPolicy
from faststream.nats import PullSub
from prometheus_client.parser import text_string_to_metric_families

from carbonshift.common.client import bare_client
from carbonshift.common.embedded import find_binary
from carbonshift.common.events import GridTick
from carbonshift.common.service import Service
from carbonshift.common.settings import Settings
from carbonshift.common.streams import stream_of

PATIENCE_SECONDS = 30.0


class DecideSettings(Settings):
    service = "decide"


@pytest.fixture
def free_ports():
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@contextmanager
def nats_on(port, folder):
    """A server that may die and come back on the same port and store."""
    process = subprocess.Popen(
        [find_binary(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder, "-l", folder / "log"]
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def running(settings, handle):
    """The service, and a client of its endpoint; it waits for its broker."""
    service = Service(settings)

    @service.broker.subscriber(
        GridTick.subjects("carbonshift"),
        stream=stream_of(GridTick, "carbonshift"),
        durable="decide",
        pull_sub=PullSub(timeout=1),
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )
    async def on_tick(event: GridTick) -> None:
        handle(event)

    task = asyncio.create_task(service.run(run_extra_options={"wait": True}, sleep_time=0.05))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=10) as client:
            yield client
    finally:
        service.exit()
        await task


async def told(client, path="/readyz"):
    try:
        return await client.get(path)
    except httpx.TransportError:
        return None


async def eventually(client, status, path="/readyz"):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answer := await told(client, path)) is None or answer.status_code != status:
            await asyncio.sleep(0.02)
        return answer.json()


async def test_it_is_ready_while_the_broker_is_there_and_alive_all_along(free_ports, tmp_path):
    port, http_port = free_ports
    settings = DecideSettings(nats_url=f"nats://127.0.0.1:{port}", http_port=http_port)
    async with running(settings, print) as client:
        missing = (await eventually(client, 503))["missing"]
        assert missing == ["broker", "streams", "subscribers"]
        assert (await client.get("/healthz")).status_code == 200
        for _ in range(2):
            with nats_on(port, tmp_path):
                assert await eventually(client, 200) == {"status": "ready"}
                assert 'carbonshift_ready{part="broker"} 1.0' in (await client.get("/metrics")).text
            assert (await eventually(client, 503))["missing"] == ["broker"]
            assert (await client.get("/healthz")).status_code == 200
            assert 'carbonshift_ready{part="broker"} 0.0' in (await client.get("/metrics")).text


async def test_a_broker_that_no_longer_answers_is_away_though_the_connection_stands(free_ports, tmp_path):
    port, http_port = free_ports
    settings = DecideSettings(nats_url=f"nats://127.0.0.1:{port}", http_port=http_port)
    with nats_on(port, tmp_path) as server:
        async with running(settings, print) as client:
            await eventually(client, 200)
            server.send_signal(subprocess.signal.SIGSTOP)
            try:
                assert (await client.get("/readyz")).json()["missing"] == ["broker"]
            finally:
                server.send_signal(subprocess.signal.SIGCONT)
            await eventually(client, 200)


async def test_messages_are_counted_by_the_pattern_of_their_subject(bus, free_ports):
    def refuse(event):
        raise ZeroDivisionError

    settings = DecideSettings(nats_url=bus.url, http_port=free_ports[1])
    async with running(settings, refuse) as client:
        await eventually(client, 200)
        async with bare_client(settings) as broker:
            for region in range(40):
                await broker.jetstream().publish(f"carbonshift.tick.region-{region}", b"{}")
        counts = {}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while counts.get(("carbonshift_dead_letters_total", "carbonshift.tick.*")) != 40:
                counts = samples((await client.get("/metrics")).text)
    assert counts["faststream_received_messages_total", "carbonshift.tick.*"] == 40
    assert counts["faststream_received_processed_messages_exceptions_total", "carbonshift.tick.*"] == 40
    assert counts["faststream_published_messages_total", "carbonshift.dlq.*"] == 40
    assert not [labels for _, *labels in counts if any("region-" in label for label in labels)]


def samples(text):
    """Values by the name of the series and its subject."""
    labels = ("subject", "handler", "destination")
    return {
        (sample.name, next((sample.labels[name] for name in labels if name in sample.labels), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
