"""Events about a training job: how far it is, and what it shall do next."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.events.base import Event, Instant, Name, stamp
from carbonshift.common.events.energy import Account
from carbonshift.common.events.replay import Replay, mark
from carbonshift.common.events.shown import Shown

__all__ = ["JobPlan", "JobStatus", "RunState"]


class RunState(StrEnum):
    """What a job does: parked is a pause that has gone deeper than holding still."""

    RUNNING = "running"
    PAUSED = "paused"
    PARKED = "parked"
    ENDED = "ended"


class JobStatus(Event):
    """A training process has registered, got on, or ended."""

    kind: ClassVar[str] = "job"
    stream: ClassVar[str] = "JOBS"
    address: ClassVar[str] = "job.{job}"

    job: Name
    worker: Name
    site: Name
    region: Name
    observed_at: Instant
    state: RunState
    step: NonNegativeInt
    work_seconds: NonNegativeFloat = 0.0
    """Work of this very job since it registered here, in seconds at full power; by the device's throughput curve."""
    steps_per_s: NonNegativeFloat | None = None
    remaining_steps: NonNegativeInt | None = None
    deadline: Instant | None = None
    usd_per_gpu_hour: NonNegativeFloat | None = None
    watts: NonNegativeFloat | None = None
    energy_j: NonNegativeFloat = 0.0
    """What it drew on this worker's boards: a shared board's energy is its running jobs' in equal parts, else its
    waiting ones'. A job that comes back within a day goes on counting."""
    energy_basis: EnergyBasis | None = None
    """The weakest of its boards'; null before anything was counted."""
    account: Account | None = None
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return (
            f"job:{self.job}:{self.worker}:{int(self.observed_at.timestamp() * 1_000)}:{self.state}:{self.step}"
            f":{self.work_seconds:.1f}{mark(self.replay)}"
        )

    @property
    def time(self) -> datetime:
        return self.observed_at


class JobPlan(Event):
    """What a job with a deadline shall do, step by step."""

    kind: ClassVar[str] = "plan"
    stream: ClassVar[str] = "JOBS"
    address: ClassVar[str] = "plan.{job}"

    job: Name
    origin: Instant
    step_seconds: PositiveInt
    modes: tuple[Literal["paused"] | Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1)
    """A step each: paused, or the power fraction to run at."""
    expected_cost_usd: float | None
    """Of the energy from `origin` to the finish; null, as the carbon, while the job's pace is not known."""
    expected_carbon_g: NonNegativeFloat | None
    expected_finish: Instant | None
    deadline_at_risk: bool
    valid_until: Instant
    """Without a newer plan by then the job follows the state of its region again."""
    policy: Shown
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"plan:{self.job}:{stamp(self.origin)}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.origin
