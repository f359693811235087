"""How soon a training stands still and goes on, beside what users do today: save, kill, start anew.

    python benchmarks/pause_latency.py [--pauses N] [--restarts N]

The example's ResNet-18 as it is, and two ranks of DDP over gloo, under a real TrainingControl in this process. A
resume is timed until the process has left the gate, seen in the page by looking without pause. Restarts are measured in
the same run, while the paused training stands still. Ends with 1 where the one process did a step too many.
"""

import argparse
import asyncio
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from under_control import TRAININGS, Controlled, controlled, percentile

from carbonshift.gpu_worker.agreement import STEPS_AHEAD
from carbonshift.training.page import ACK, STEP

EXAMPLE = Path(__file__).parents[1] / "examples/resnet18.py"
RANKS = Path(__file__).parents[1] / "services/gpu-worker/tests/ranks.py"
IMAGES, THREADS = 4, 1
APART_SECONDS = 0.2
"""At most, from a resume to the next pause."""


class Measured:
    """What the pauses of one job took, and how far it still went."""

    def __init__(self, stage: Controlled, job: str) -> None:
        self._stage, self._job, self._pages = stage, job, stage.pages(job)
        self._chance = random.Random(0)  # noqa: S311  # no secret
        self.pause_seconds: list[float] = []
        self.resume_seconds: list[float] = []
        self.further: Counter[int] = Counter()
        """How often so many steps were done after those in flight when the target was written."""

    async def pause(self) -> None:
        """At a random moment."""
        await asyncio.sleep(self._chance.uniform(0, APART_SECONDS))
        asked = asyncio.create_task(self._stage.control.pause(self._job, 60))
        await asyncio.sleep(0)  # the target is written now
        in_flight = max(page[STEP] for page in self._pages) + 1
        receipt = await asked
        self.pause_seconds.append(receipt.seconds)
        self.further[max(0, receipt.step - in_flight)] += 1

    async def resume(self) -> None:
        """Until every rank has left the gate."""
        began = time.perf_counter()
        await self._stage.control.resume(self._job)
        while any(page[ACK] for page in self._pages):
            pass
        self.resume_seconds.append(time.perf_counter() - began)


def in_ms(seconds: Sequence[float]) -> str:
    """Their median, 99th percentile and maximum."""
    return (
        f"median {1e3 * statistics.median(seconds):.2f} ms, p99 {1e3 * percentile(seconds, 99):.2f} ms,"
        f" max {1e3 * max(seconds):.2f} ms"
    )


def restart_seconds(file: Path) -> float:
    """From the asking for a checkpoint to the first step done of a process started anew, the old one killed."""
    command = [sys.executable, str(TRAININGS / "checkpointed.py"), str(file), str(IMAGES), str(THREADS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as old:
        said(old, "stepped")
        time.sleep(APART_SECONDS)
        began = time.perf_counter()
        old.send_signal(signal.SIGUSR1)
        said(old, "saved")
        old.kill()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as new:
        said(new, "stepped")
        seconds = time.perf_counter() - began
        new.kill()
    file.unlink()
    return seconds


def said(process: subprocess.Popen[str], word: str) -> None:
    """Wait for it."""
    if process.stdout is None or process.stdout.readline() != f"{word}\n":
        raise SystemExit(f"the training did not say {word!r}")


async def one_process(pauses: int, restarts: int) -> bool:
    """Print what pauses and restarts of the ResNet-18 took; whether it never did a step too many."""
    async with controlled() as stage:
        given = ("--steps", "0", "--batch-size", str(IMAGES), "--threads", str(THREADS))
        await stage.start(EXAMPLE, *given, job="resnet18")
        await stage.joined()
        measured, restarted = Measured(stage, "resnet18"), []
        for number in range(pauses):
            await measured.pause()
            if number < restarts:
                restarted.append(await asyncio.to_thread(restart_seconds, stage.folder / "checkpoint"))
            await measured.resume()
        pages = stage.pages("resnet18")
        first, began = pages[0][STEP], time.monotonic()
        await asyncio.sleep(1)
        step_ms = 1e3 * (time.monotonic() - began) / max(1, pages[0][STEP] - first)
    late = sum(count for steps, count in measured.further.items() if steps > 0)
    ours = statistics.median(measured.pause_seconds) + statistics.median(measured.resume_seconds)
    theirs = statistics.median(restarted)
    print(f"ResNet-18, steps of {step_ms:.0f} ms: {late} of {pauses} pauses had a step after the one in flight")
    print(f"from the asking until quiet, the step in flight among it: {in_ms(measured.pause_seconds)}")
    print(f"from the resume until the process has left the gate: {in_ms(measured.resume_seconds)} (mark 5 ms)")
    print(
        f"save, kill, start anew, first step done: median {theirs:.2f} s of {restarts}, least {min(restarted):.2f} s;"
        f" pause and resume {ours:.4f} s: {theirs / ours:.0f} times as long (mark 50)"
    )
    return late == 0


async def ranks(pauses: int) -> None:
    """Print how far two ranks still went: where they outran the first target, the next one is twice as far ahead."""
    async with controlled() as stage:
        await stage.start(RANKS, "DDP", "100000000", str(stage.folder), job="ranks", ranks=2)
        await stage.joined(2)
        measured = Measured(stage, "ranks")
        for _ in range(pauses):
            await measured.pause()
            await measured.resume()
    more = sum(count for steps, count in measured.further.items() if steps > STEPS_AHEAD)
    counts = ", ".join(f"{steps} steps {count} times" for steps, count in sorted(measured.further.items()))
    print(f"DDP over gloo, 2 ranks: after the one in flight {counts}; more than {STEPS_AHEAD} in {more} of {pauses}")
    print(f"from the asking until all are quiet: {in_ms(measured.pause_seconds)}")
    print(f"from the resume until all have left the gate: {in_ms(measured.resume_seconds)} (mark 5 ms)")


async def measure(pauses: int, restarts: int) -> bool:
    """Whether the one process never did a step too many."""
    good = await one_process(pauses, restarts)
    await ranks(pauses)
    return good


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pauses", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=5, help="while the first so many pauses last")
    options = parser.parse_args()
    sys.exit(not asyncio.run(measure(options.pauses, options.restarts)))


if __name__ == "__main__":
    main()
