"""How fast, in how much memory, a tape goes through broker, publisher and decide, beside bare nats-py in the same run.

    python benchmarks/year_replay.py [TAPE] [--ticks N] [--json]

The bare loop does what exact order takes and no more: fetch one message, publish one with confirmation, acknowledge.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from nats.aio.msg import Msg

from carbonshift.common.client import bare_client
from carbonshift.common.embedded import embedded_server
from carbonshift.common.events import GridState, GridTick, Replay
from carbonshift.common.streams import declare_streams, stream_name
from carbonshift.common.tape import Tape, open_tape
from carbonshift.ingest.bundled import bundled_tapes, find_tape
from carbonshift.ingest.replay import replay_tape, span_of
from carbonshift.ingest.settings import IngestSettings

BARE_MESSAGES = 5_000


async def carbonshift_rate(settings: IngestSettings, tape: Tape, ticks: int) -> dict[str, float]:
    """Ticks a second from the first publish to the last state; memory of decide in MB at half way and at the end."""
    end = tape.first + timedelta(seconds=tape.step_seconds * ticks)
    done, count, resident_mb = asyncio.Event(), 0, [0.0, 0.0]

    async def on_state(message: Msg) -> None:
        nonlocal count
        del message
        count += 1
        if count == ticks // 2:
            resident_mb[0] = _resident_mb(decide.pid)
        if count == ticks:
            resident_mb[1] = _resident_mb(decide.pid)
            done.set()

    await declare_streams(settings)
    environment = os.environ | {"NATS_URL": settings.nats_url or ""}
    with subprocess.Popen([sys.executable, "-m", "carbonshift.decide"], env=environment) as decide:
        async with bare_client(settings) as client:
            await client.subscribe(GridState.subjects(settings.subject_prefix), cb=on_state)
            await asyncio.sleep(3)  # decide has started: its start is not what is measured
            began = time.perf_counter()
            await replay_tape(settings, tape, span_of(tape, end=end), Replay(run="bench"))
            published = time.perf_counter()
            await done.wait()
            ended = time.perf_counter()
        decide.terminate()
    return {
        "ticks": count,
        "publish_per_s": ticks / (published - began),
        "ticks_per_s": ticks / (ended - began),
        "decide_mb_half_way": resident_mb[0],
        "decide_mb_at_the_end": resident_mb[1],
    }


async def bare_rate(settings: IngestSettings) -> float:
    """Messages a second of the bare loop on the same server, with payloads of the same size."""
    ticks, states = (stream_name(kind.stream, settings.subject_prefix) for kind in (GridTick, GridState))
    async with bare_client(settings) as client:
        jetstream = client.jetstream()
        pull = await jetstream.pull_subscribe(GridTick.subjects(settings.subject_prefix), durable="bench", stream=ticks)
        await pull.fetch(1, timeout=5)  # the ticks of the tape lie there already
        payload = b"x" * 600
        began = time.perf_counter()
        for _ in range(BARE_MESSAGES):
            (message,) = await pull.fetch(1, timeout=5)
            await jetstream.publish(f"{settings.subject_prefix}.state.bench", payload, stream=states)
            await message.ack()
        return BARE_MESSAGES / (time.perf_counter() - began)


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    """Run both and print them."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("tape", nargs="?", type=Path, default=bundled_tapes()["de_2018_15min"])
    arguments.add_argument("--ticks", type=int, default=0, help="0 = the whole tape")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    tape = open_tape(find_tape(given.tape))
    ticks = min(given.ticks or tape.row_count, tape.row_count)
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder)) as url:
        settings = IngestSettings(nats_url=url)
        measured = asyncio.run(carbonshift_rate(settings, tape, ticks))
        measured["bare_per_s"] = asyncio.run(bare_rate(settings))
    measured["share_of_bare"] = measured["ticks_per_s"] / measured["bare_per_s"]
    if given.json:
        print(json.dumps(measured))
        return
    for name, value in measured.items():
        print(f"{name:22} {value:10.2f}")


if __name__ == "__main__":
    main()
