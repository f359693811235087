"""The agent of another host, as far as its training goes: `far_host.py SOCKET URL LEASE_SECONDS`."""

import asyncio
import sys
from pathlib import Path

import nats

from carbonshift.gpu_worker.spread_training import SpreadTraining
from carbonshift.gpu_worker.training_control import TrainingControl


async def main() -> None:
    path, url, lease_seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    control = TrainingControl(lease_seconds=lease_seconds)
    await control.start(path)
    client = await nats.connect(url, no_echo=True)
    await SpreadTraining(control, "carbonshift", "far").run(client)


asyncio.run(main())
