"""The part of an agent that sets limits, with its guard, capping every board without pause: to be killed.

python capping_agent.py FOLDER LEASE_SECONDS
"""

import asyncio
import random
import sys
from pathlib import Path

from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.errors import GuardError
from carbonshift.gpu_worker.limits import GuardedLimits


def say(word: str) -> None:
    """Tell whoever is about to kill this."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(folder: str, lease_seconds: str) -> None:
    """Says `ready` once it has its guard, and `capped` once after the first caps."""
    devices = NvmlBackend().discover()
    limits = GuardedLimits("nvml", devices, Path(folder), lease_seconds=float(lease_seconds), restored=lambda *_: None)
    await limits.start()
    say("ready")
    capped = False
    while True:
        try:
            await asyncio.gather(*(limits.cap(device.uuid, random.uniform(200, 640)) for device in devices))
            if not capped:
                say("capped")
            capped = True
            await asyncio.sleep(random.uniform(0, 0.01))
        except GuardError:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
