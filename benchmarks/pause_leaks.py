"""What thousands of pauses leave behind in a training process and in its agent: nothing.

    python benchmarks/pause_leaks.py [--pauses N]

A tiny net, a real TrainingControl. Counted after a hundred pauses and again after N more; ends with 1 where a number
has grown, or memory by more than its allocator keeps.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path

from under_control import TRAININGS, controlled

WARM_UP = 100
JOB = "tiny"
MOST_GROWTH_A_PAUSE = {"resident_bytes": 100.0, "objects": 0.5}
"""Less than one thing kept of each pause: the allocator keeps pages, asyncio up to a hundred cancelled timers."""


def held(pid: int) -> dict[str, int]:
    """What the kernel says of a process."""
    process = Path(f"/proc/{pid}")
    return {
        "threads": len([*(process / "task").iterdir()]),
        "descriptors": len([*(process / "fd").iterdir()]),
        "resident_bytes": int((process / "statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    }


async def measure(pauses: int) -> bool:
    """Print the counts; returns whether any grew."""
    async with controlled() as stage:
        told_at, told_by = os.pipe()
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(told_at, "rb", buffering=0)
        )
        process = await stage.start(TRAININGS / "tiny.py", job=JOB, said=told_by)
        os.close(told_by)
        await stage.joined()

        async def counts() -> dict[str, dict[str, int]]:
            process.send_signal(signal.SIGUSR1)
            async with asyncio.timeout(60):
                training = json.loads(await reader.readline())
            gc.collect()
            agent = {"tasks": len(asyncio.all_tasks()), "objects": len(gc.get_objects())}
            return {"training": training | held(process.pid), "agent": agent | held(os.getpid())}

        async def pause(times: int) -> None:
            for _ in range(times):
                await stage.control.pause(JOB, 60)
                await stage.control.resume(JOB)

        await pause(WARM_UP)
        before, began = await counts(), time.monotonic()
        await pause(pauses)
        seconds, after = time.monotonic() - began, await counts()
        transport.close()
    print(f"{pauses} pauses of one process in {seconds:.1f} s")
    grown = False
    for who, first in before.items():
        for what, number in first.items():
            growth = after[who][what] - number
            print(f"{who}: {what} {number} before, {after[who][what]} after ({growth:+d})")
            grown = grown or growth > MOST_GROWTH_A_PAUSE.get(what, 0) * pauses
    print("something has grown" if grown else "nothing has grown")
    return grown


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pauses", type=int, default=10_000)
    sys.exit(asyncio.run(measure(parser.parse_args().pauses)))


if __name__ == "__main__":
    main()
