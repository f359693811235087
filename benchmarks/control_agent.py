"""A TrainingControl in a process of its own, to be killed or stopped: `control_agent.py SOCKET LEASE_SECONDS`.

It says "listening", then does what the lines on stdin say: `pause JOB ...`, answered by a line "JOB STEP" each; and
`hang JOB ...`, which pauses them once more with an event loop that stands still, answered by how many of them have said
what the agent has not read, and then stands still for good.
"""

import asyncio
import fcntl
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.training.page import ACK, RUN

__all__ = ["agent_process"]

PAUSE_SECONDS = 60.0
LOOK_SECONDS = 0.0005


@contextmanager
def agent_process(path: Path, lease_seconds: float) -> Iterator[subprocess.Popen[str]]:
    """An agent that listens at `path`; killed in the end."""
    command = [sys.executable, __file__, str(path), str(lease_seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "listening\n":
                raise SystemExit("the agent did not start")
            yield process
        finally:
            process.kill()


async def serve(path: Path, lease_seconds: float) -> None:
    """Until stdin ends."""
    control = TrainingControl(lease_seconds=lease_seconds)
    await control.start(path)
    print("listening", flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        what, *jobs = line.decode().split()
        if what == "hang":
            hang(control, jobs)
        for job in jobs:
            while job not in control.jobs:
                await control.changes.get()
            receipt = await control.pause(job, PAUSE_SECONDS)
            print(job, receipt.step, flush=True)
    await control.close()


def hang(control: TrainingControl, jobs: Sequence[str]) -> None:
    """Let each go and stop it again, and read none of the bytes by which they tell of it."""
    processes = [process for job in jobs for process in control._members(job)]  # noqa: SLF001  no way asks for this
    for process in processes:
        process.target(RUN)
        while process.words[ACK]:
            time.sleep(LOOK_SECONDS)
        process.target(0)
        while not process.words[ACK]:
            time.sleep(LOOK_SECONDS)
        process.agree(process.words[ACK])
        while not process.quiet:
            time.sleep(LOOK_SECONDS)
    unread = [int.from_bytes(fcntl.ioctl(p.connection, termios.FIONREAD, bytes(4)), sys.byteorder) for p in processes]
    print(sum(number > 0 for number in unread), flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
