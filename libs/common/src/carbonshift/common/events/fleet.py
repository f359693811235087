"""Events about the machines: what a worker did to a device, and what the device draws."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import NonNegativeFloat, NonNegativeInt

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.events.base import Event, Instant, Name
from carbonshift.common.events.energy import Account
from carbonshift.common.events.replay import Replay, mark
from carbonshift.common.events.shown import Shown
from carbonshift.common.events.work import RunState

__all__ = ["EnergyBasis", "WorkerEvent", "WorkerEventKind", "WorkerTelemetry"]


class WorkerEventKind(StrEnum):
    """What happened to a device or to the job on it."""

    REGISTERED = "registered"
    CAPPED = "capped"
    CAP_REFUSED = "cap_refused"
    PAUSED = "paused"
    RESUMED = "resumed"
    PARKED = "parked"
    RESTORED = "restored"
    LEASE_EXPIRED = "lease_expired"
    FOREIGN_LIMIT = "foreign_limit"


class WorkerEvent(Event):
    """A change on a worker."""

    kind: ClassVar[str] = "worker"
    stream: ClassVar[str] = "WORKERS"
    address: ClassVar[str] = "worker.{worker}.event"

    worker: Name
    site: Name
    region: Name
    device_uuid: Shown
    sequence: NonNegativeInt
    """Counts this worker's events since it started."""
    started_at: Instant
    """When the worker started: with `sequence` it makes the event unique."""
    observed_at: Instant
    """Event time."""
    event: WorkerEventKind
    detail: dict[Shown, float | int | Shown | bool | None]
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"worker:{self.worker}:{int(self.started_at.timestamp() * 1_000)}:{self.sequence}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.observed_at


class WorkerTelemetry(Event):
    """What a device draws and what its job does, every few seconds and at every change."""

    kind: ClassVar[str] = "telemetry"
    stream: ClassVar[str] = "TELEMETRY"
    address: ClassVar[str] = "worker.{worker}.telemetry"

    worker: Name
    site: Name
    region: Name
    device_uuid: Shown
    observed_at: Instant
    """Event time."""
    power_w: NonNegativeFloat | None
    power_limit_w: NonNegativeFloat | None
    enforced_limit_w: NonNegativeFloat | None
    allowance_w: NonNegativeFloat
    """What it may draw at most as it stands, of the site's budget: only a resume token raises it."""
    ceiling_w: NonNegativeFloat
    """What it could come to draw: the limit found before the first cap; the board's highest where it may be raised."""
    energy_j: NonNegativeFloat
    """Since the beginning of its account, which a restart does not begin anew."""
    energy_basis: EnergyBasis
    account: Account
    run_state: RunState
    memory_used_bytes: NonNegativeInt | None = None
    job: Name | None = None
    step: NonNegativeInt = 0
    """Optimizer steps that the training process has counted."""
    steps_per_s: NonNegativeFloat | None = None
    work_seconds: NonNegativeFloat = 0.0
    """Work done since the worker started, in seconds at full power; by the device's throughput curve."""
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return (
            f"telemetry:{self.worker}:{self.device_uuid}:{int(self.observed_at.timestamp() * 1_000)}"
            f":{self.run_state}:{self.step}:{self.energy_j:.0f}:{self.allowance_w:.0f}{mark(self.replay)}"
        )

    @property
    def time(self) -> datetime:
        return self.observed_at
