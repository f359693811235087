"""Trainings under a real TrainingControl in this process: started, seen to join, and looked at through their pages."""

import asyncio
import math
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.training.launch import training_environment

__all__ = ["TRAININGS", "Controlled", "controlled", "percentile"]

TRAININGS = Path(__file__).parent / "trainings"
JOIN_SECONDS = 120.0
"""Within which a training has imported torch and done its first step, on a machine that is busy."""
LEAVE_SECONDS = 30.0
"""For a training that has said all it had to say; then it is killed."""


class Controlled:
    """A control, a folder for what trainings leave behind, and the trainings."""

    def __init__(self, control: TrainingControl, folder: Path) -> None:
        self.control, self.folder = control, folder
        self._started: list[asyncio.subprocess.Process] = []

    async def start(
        self, script: Path, *arguments: str, job: str | None, ranks: int = 1, said: int | None = None
    ) -> asyncio.subprocess.Process:
        """Start a script of `ranks` ranks, by torchrun where they are several; without a `job` it is left alone.

        What it says on stderr goes to a file `stderr`, and on stdout to `said`, by default that file too.
        """
        torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks))
        base = {**os.environ, "OMP_NUM_THREADS": "1"} if ranks > 1 else dict(os.environ)
        env = base if job is None else training_environment(self.folder / "control", base, job)
        with (self.folder / "stderr").open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(torchrun if ranks > 1 else ()),
                str(script),
                *arguments,
                env=env,
                stdout=stderr if said is None else said,
                stderr=stderr,
            )
        self._started.append(process)
        return process

    async def joined(self, processes: int = 1) -> None:
        """Wait until so many processes have come."""
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                while processes:
                    change = await self.control.changes.get()
                    processes -= change.kind == "joined"
        except TimeoutError:
            raise SystemExit(f"a training did not join; it says\n{self.last_words()}") from None

    def pages(self, job: str) -> list[memoryview]:
        """What is shared with each process of `job`, in the order of the ranks."""
        return [process.words for process in self.control._members(job)]  # noqa: SLF001  no view shows all ranks

    def last_words(self) -> str:
        """The end of what the trainings have said on stderr."""
        return (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")[-3_000:]

    async def end(self) -> None:
        """Kill what still trains: the ranks, then what started them."""
        for job in list(self.control.jobs):
            for process in self.control._members(job):  # noqa: SLF001
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        for process in self._started:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
                try:
                    async with asyncio.timeout(LEAVE_SECONDS):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
        self._started.clear()


@asynccontextmanager
async def controlled(lease_seconds: float = 10.0) -> AsyncIterator[Controlled]:
    """A control in a folder of its own; whatever trains is ended in the end."""
    with tempfile.TemporaryDirectory() as name:
        control = TrainingControl(lease_seconds=lease_seconds)
        await control.start(Path(name) / "control")
        stage = Controlled(control, Path(name))
        try:
            yield stage
        finally:
            await stage.end()
            await control.close()


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: one of the values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
