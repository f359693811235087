"""The part of an agent that sets limits and clocks, with its guard, capping every board without pause: to be killed.

python capping_agent.py FOLDER LEASE_SECONDS free|slow|both
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


async def drive(limits: GuardedLimits, uuid: str, clocks: str) -> None:
    """A cap, and what `clocks` says."""
    await limits.cap(uuid, random.uniform(200, 640))
    if clocks != "free" and uuid not in limits.slowed:
        await limits.slow_down(uuid)
    elif clocks == "both":
        await limits.speed_up(uuid)


async def main(folder: str, lease_seconds: str, clocks: str) -> None:
    """Says `ready` once it has its guard, and `capped` once after the first caps and locks."""
    devices = NvmlBackend().discover()
    limits = GuardedLimits("nvml", devices, Path(folder), lease_seconds=float(lease_seconds), restored=lambda *_: None)
    await limits.start()
    say("ready")
    capped = False
    while True:
        try:
            await asyncio.gather(*(drive(limits, device.uuid, clocks) for device in devices))
            if not capped:
                say("capped")
            capped = True
            await asyncio.sleep(random.uniform(0, 0.01))
        except GuardError:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
