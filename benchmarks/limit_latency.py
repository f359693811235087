"""From the publish of a state to the driver's call, beside a bare nats-py callback on the same messages.

    python benchmarks/limit_latency.py [--states N]

The agent runs as it does on a host, with its guard, against a driver at NVML's ABI whose sets take no time; a modelled
job has all its watts, and each state moves its limit. States come a little over a second apart, as a board takes one
write a second. The broker and all processes share this machine.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from carbonshift.common.client import bare_client
from carbonshift.common.embedded import embedded_server
from carbonshift.common.events import Event, GridState, Pulse, ResumeToken, WorkerTelemetry, headers
from carbonshift.common.settings import Settings
from carbonshift.common.streams import declare_streams

DRIVER = Path(__file__).parents[1] / "services/gpu-worker/tests/fake_nvml/driver.py"
SECONDS_APART = 1.05
ALL_W = 650.0
"""The limit that the board had: no allowance is above it."""
SET = "nvmlDeviceSetPowerManagementLimit"


def grid_state(number: int, power_fraction: float) -> GridState:
    """One that lets training run."""
    start = datetime.now(UTC)
    return GridState(
        region="caiso",
        interval_start=start,
        interval_seconds=60,
        state=Pulse.GREEN,
        since=start,
        score=None,
        price_norm=None,
        carbon_norm=None,
        power_limit_w=100.0 + 150.0 * power_fraction,
        power_fraction=power_fraction,
        run=True,
        epoch=1,
        reasons=(),
        valid_until=start + timedelta(hours=1),
        policy=f"bench-{number}",
    )


def fake_driver(folder: Path, *boards: dict[str, Any]) -> Any:
    """A driver with these boards."""
    module = SourceFileLoader("carbonshift_fake_nvml", str(DRIVER)).load_module()
    library = module.compiled(folder)
    if library is None:
        raise SystemExit("no C compiler to build a driver with")
    return module.FakeNvml(library, folder, boards)


@contextmanager
def agent(driver: Any, url: str, folder: Path, **given: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the host, ended in the end."""
    settings = {
        "NATS_URL": url,
        "CARBONSHIFT_STATE_DIR": str(folder / "agent"),
        "CARBONSHIFT_WORKER": "host",
        "CARBONSHIFT_DEVICE_BACKEND": "nvml",
        "CARBONSHIFT_MODELLED_JOB": "true",
        "CARBONSHIFT_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "carbonshift.gpu_worker"]
    with subprocess.Popen(command, env=os.environ | driver.env | settings | given) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


async def measure(states: int) -> None:
    """Print both, and their ratio."""
    with tempfile.TemporaryDirectory() as name, embedded_server(Path(name) / "broker") as url:
        folder, settings = Path(name), Settings(nats_url=url)
        driver = fake_driver(folder, {})
        await declare_streams(settings)
        heard: dict[str, float] = {}
        async with bare_client(settings) as client:

            async def publish(*events: Event) -> None:
                for event in events:
                    payload = event.model_dump_json().encode()
                    await client.jetstream().publish(event.subject("carbonshift"), payload, headers=headers(event, "b"))

            with agent(driver, url, folder):
                telemetry = await client.subscribe(WorkerTelemetry.subjects("carbonshift"))
                await publish(grid_state(0, 1.0))
                await asyncio.sleep(2)
                now = datetime.now(UTC)
                await publish(
                    ResumeToken(
                        site="local",
                        slot=1,
                        watts=700.0,
                        not_before=now - timedelta(seconds=1),
                        expires_at=now + timedelta(hours=1),
                        epoch=1,
                    )
                )
                while True:
                    message = await telemetry.next_msg(30)
                    if WorkerTelemetry.model_validate_json(message.data).allowance_w >= ALL_W:
                        break
                await telemetry.unsubscribe()

                async with bare_client(settings) as listener:

                    async def on_message(message: Any) -> None:
                        heard[message.headers["Nats-Msg-Id"]] = time.monotonic()

                    await listener.subscribe("carbonshift.state.caiso", cb=on_message)
                    await listener.flush()
                    await asyncio.sleep(SECONDS_APART)  # the rise to all watts may have waited for its turn
                    bare, ours = [], []
                    for number in range(1, states + 1):
                        await asyncio.sleep(SECONDS_APART)
                        state = grid_state(number, 0.9 - 0.6 * number / states)  # falls: it needs no token
                        sets = len(driver.calls(SET))
                        began = time.monotonic()
                        await publish(state)
                        while len(calls := driver.calls(SET)) == sets:  # noqa: ASYNC110  # a file tells no events
                            await asyncio.sleep(0.02)
                        ours.append(1e3 * (calls[sets].at_seconds - began))
                        bare.append(1e3 * (heard[state.id] - began))
    for label, values in (("bare nats-py callback", bare), ("to the driver's call", ours)):
        quantiles = statistics.quantiles(values, n=100)
        print(f"{label}: p50 {statistics.median(values):.2f} ms, p99 {quantiles[98]:.2f} ms, of {states} states")
    print(f"p50 is {statistics.median(ours) / statistics.median(bare):.1f} times the bare callback's")


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=100)
    asyncio.run(measure(parser.parse_args().states))


if __name__ == "__main__":
    main()
