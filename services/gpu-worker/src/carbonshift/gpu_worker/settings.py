"""Settings of a GPU worker."""

import re
import socket
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from carbonshift.common.events import Name
from carbonshift.common.settings import Settings
from carbonshift.gpu_worker.parking import Tier
from carbonshift.gpu_worker.setpoint import Meaning

__all__ = ["GpuWorkerSettings"]


class GpuWorkerSettings(Settings):
    """What the agent of one host needs to know."""

    service: ClassVar[str] = "gpu-worker"

    worker: Name = Field(default_factory=lambda: _name(socket.gethostname()))
    """Name of this worker, unique in the fleet; the host's name unless set."""
    site: Name = "local"
    """Whose ramp and power budget its watts count against."""
    region: Name = "caiso"
    """The grid region whose state it follows."""
    device_backend: str = "auto"
    """`nvml`, `simulated` or any other that is installed; `auto` is nvml where it finds a board, else simulated."""
    device_uuid: str | None = None
    """The board to drive; without it every one found."""
    parking: Annotated[list[Tier], NoDecode] = Field(default=[Tier.HOLD, Tier.LOW_CLOCKS], min_length=1)
    """How deep training that waits may be parked, separated by commas: `hold`, `low-clocks` while it does, `offload`
    into host memory, `checkpoint` and leave. What its wait is worth most is taken; one alone whatever the wait."""
    parking_memory_share: float = Field(default=0.05, gt=0, le=1)
    """How much of a wait may go into freeing device memory and coming back, by `offload` and `checkpoint`."""
    parked_w: float | None = Field(default=None, gt=0)
    """Draw to count for a board whose training waits; without it the reference board's scaled to it."""
    setpoint: Meaning = "range"
    """What a state's setpoint, meant for a 250 W V100, is on a board: the same share of the board's own `range`, the
    same watts (`absolute`), or the same share of its `default` limit; within its range, and see `may_raise`."""
    setpoint_by_model: dict[str, Meaning] = Field(default_factory=dict)
    """The same for boards whose name fits a pattern, `{"NVIDIA H100*": "default"}`: the first that fits, in order."""
    may_raise: bool = False
    """Let a setpoint raise a board above the limit that was found on it, up to the board's highest; what is given back
    is what was found."""
    control_socket: Path | None = None
    """Where training processes join; `control.sock` in the state folder unless set."""
    control_group: str | None = None
    """A group whose members may join, this worker being one of them; without it this user and root alone."""
    pause_timeout_seconds: float = Field(default=30.0, gt=0)
    """How long a training may take to come to rest: longer than its longest step."""
    telemetry_seconds: float = Field(default=5.0, gt=0)
    """At least this often, on the wall clock, telemetry is published; besides that at every state and every change."""
    guard_lease_seconds: float = Field(default=10.0, ge=1)
    """A worker that hangs for so long has its boards' limits given back by its guard."""
    replay_lease_seconds: float = Field(default=60.0, gt=0)
    """How long after the end of its interval, on the wall clock, a replayed state still holds."""
    stale_fallback: Literal["hold", "restore", "cap"] = "hold"
    """What follows once the last sound state's lease is over: all stays as it is, the board gets its own limit back
    (which may be more than its site has granted), or its lowest one; training stays as it is."""
    modelled_job: bool = False
    """Act as if a job trained here while no training process does: for simulated fleets."""

    @field_validator("parking", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @property
    def control_path(self) -> Path:
        """Where training processes join."""
        return self.control_socket or self.state_dir / "control.sock"


def _name(host: str) -> str:
    """`host` as one token of a subject."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", host)[:64] or "worker"
