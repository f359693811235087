"""A training that is a model: where no process trains it stands in for one, at once paused, at once resumed."""

from carbonshift.common.events import RunState
from carbonshift.gpu_worker.training_control import PauseReceipt
from carbonshift.gpu_worker.training_process import JobView

__all__ = ["ModelledTraining"]


class ModelledTraining:
    """One job, with no step to count and no memory."""

    def __init__(self, job: str) -> None:
        self._job = job
        self._run_state = RunState.RUNNING

    @property
    def jobs(self) -> dict[str, JobView]:
        """It alone, as TrainingControl shows its own."""
        view = JobView(
            job=self._job,
            pid=0,
            pids=frozenset(),
            world_size=1,
            step=0,
            steps_per_s=None,
            run_state=self._run_state,
            memory_used_bytes=0,
            remaining_steps=None,
            deadline=None,
            usd_per_gpu_hour=None,
        )
        return {self._job: view}

    def holds(self, job: str) -> bool:  # noqa: ARG002
        """Whether it waits."""
        return self._run_state is RunState.PAUSED

    async def pause(self, job: str, timeout_seconds: float) -> PauseReceipt:  # noqa: ARG002  # as TrainingControl's
        """It waits."""
        self._run_state = RunState.PAUSED
        return PauseReceipt(step=0, seconds=0.0, memory_used_bytes=0)

    async def resume(self, job: str) -> None:  # noqa: ARG002
        """It runs."""
        self._run_state = RunState.RUNNING
