"""What an agent of eight boards takes while nothing happens: CPU and memory, its guard's beside it.

    python benchmarks/agent_at_rest.py [--seconds N]

Telemetry goes out once a second a board; nothing trains, and the state stays as it is.
"""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from limit_latency import agent, fake_driver

from carbonshift.common.client import bare_client
from carbonshift.common.embedded import embedded_server
from carbonshift.common.events import WorkerTelemetry
from carbonshift.common.settings import Settings
from carbonshift.common.streams import declare_streams

BOARDS = 8
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """That the threads of a process have run."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


def children(pid: int) -> list[int]:
    """The processes that it has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def resident_mb(pid: int) -> float:
    """Its resident set."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES / 1e6


async def measure(seconds: float) -> None:
    """Print them."""
    with tempfile.TemporaryDirectory() as name, embedded_server(Path(name) / "broker") as url:
        folder, settings = Path(name), Settings(nats_url=url)
        driver = fake_driver(folder, *({} for _ in range(BOARDS)))
        await declare_streams(settings)
        given = {"CARBONSHIFT_MODELLED_JOB": "false", "CARBONSHIFT_TELEMETRY_SECONDS": "1"}
        with agent(driver, url, folder, **given) as process:
            async with bare_client(settings) as client:
                told = await client.subscribe(WorkerTelemetry.subjects("carbonshift"))
                for _ in range(3 * BOARDS):
                    await told.next_msg(60)
                (guard,) = children(process.pid)
                pids = {"agent": process.pid, "guard": guard}
                before = {who: cpu_seconds(pid) for who, pid in pids.items()}
                await asyncio.sleep(seconds)
                for who, pid in pids.items():
                    share = (cpu_seconds(pid) - before[who]) / seconds
                    print(
                        f"{who} of {BOARDS} boards: {share:.2%} of a core over {seconds:g} s, {resident_mb(pid):.0f} MB"
                    )


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    asyncio.run(measure(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
