"""The training on one board of several. A job on more than one of them runs only while all of them let it."""

from collections.abc import Callable, Mapping

from carbonshift.gpu_worker.spread_training import SpreadTraining
from carbonshift.gpu_worker.training_control import PauseReceipt, TrainingControl
from carbonshift.gpu_worker.training_process import JobView

__all__ = ["Crew", "Holds"]


class Holds:
    """Which boards hold which job."""

    def __init__(self) -> None:
        self._boards: dict[str, set[str]] = {}

    def add(self, job: str, uuid: str) -> None:
        """The board `uuid` holds `job`."""
        self._boards.setdefault(job, set()).add(uuid)

    def held(self, job: str, uuid: str) -> bool:
        """Whether it does."""
        return uuid in self._boards.get(job, ())

    def forget(self, job: str) -> None:
        """It has ended."""
        self._boards.pop(job, None)

    def release(self, job: str, uuid: str) -> bool:
        """It lets go; whether nobody holds the job any more."""
        boards = self._boards.get(job, set())
        boards.discard(uuid)
        if not boards:
            self._boards.pop(job, None)
        return not boards


class Crew:
    """As TrainingControl, for the jobs of one board alone; `spread` reaches their ranks on other hosts too."""

    def __init__(
        self,
        control: TrainingControl,
        spread: SpreadTraining,
        holds: Holds,
        uuid: str,
        mine: Callable[[str], bool],
    ) -> None:
        self._control, self._spread, self._holds, self._uuid, self._mine = control, spread, holds, uuid, mine

    @property
    def jobs(self) -> Mapping[str, JobView]:
        """By name."""
        return {job: view for job, view in self._control.jobs.items() if self._mine(job)}

    def holds(self, job: str) -> bool:
        """Whether this board keeps `job` from running."""
        return self._holds.held(job, self._uuid)

    async def pause(self, job: str, timeout_seconds: float) -> PauseReceipt:
        """As `SpreadTraining.pause`; it does not go on until this board lets it."""
        receipt = await self._spread.pause(job, timeout_seconds)
        self._holds.add(job, self._uuid)
        return receipt

    async def offload(self, job: str) -> int | None:
        """As `TrainingControl.offload`."""
        return await self._control.offload(job)

    async def leave(self, job: str) -> int:
        """As `TrainingControl.leave`; the bytes that it held."""
        held = self._control.jobs[job].memory_used_bytes if job in self._control.jobs else 0
        await self._control.leave(job)
        return held

    async def resume(self, job: str) -> None:
        """As `SpreadTraining.resume`, once no other board holds it."""
        if self._holds.release(job, self._uuid):
            await self._spread.resume(job)
