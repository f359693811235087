"""What is planned: a job, the board it runs on, and what it costs to stop and to start."""

import math
from dataclasses import dataclass
from typing import Self

from carbonshift.common.power_curve import PowerCurve
from carbonshift.decide.planning.errors import UnplannableError

__all__ = ["FREE_SWITCHES", "Device", "Job", "SwitchCosts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work with a deadline, seen from the origin of the plan."""

    work_seconds: float
    """Work left, in seconds under the limit with speed 1.0."""
    deadline_seconds: float
    """From the origin; completion may come at it, not after it. Zero and less: missed already."""
    usd_per_gpu_hour: float = 0.0
    """Value of an hour of waiting, from the origin until completion."""
    running: bool = True
    """Whether it runs at the origin, else it is parked and has to resume."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.work_seconds) and self.work_seconds >= 0):
            raise UnplannableError(f"a job of {self.work_seconds} s of work", "give a finite number, 0 or more")
        if not math.isfinite(self.deadline_seconds):
            raise UnplannableError(f"a deadline after {self.deadline_seconds} s", "give a finite number")
        if not (math.isfinite(self.usd_per_gpu_hour) and self.usd_per_gpu_hour >= 0):
            raise UnplannableError(f"waiting at {self.usd_per_gpu_hour} USD/h", "give a finite number, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The modes of a board: one per measured power limit, and parked."""

    limits_w: tuple[float, ...]
    draws_w: tuple[float, ...]
    """Mean draw of each mode: what is paid for; a limit is not a draw."""
    speeds: tuple[float, ...]
    """Work done in a second of each mode."""
    parked_w: float

    def __post_init__(self) -> None:
        if not self.limits_w or not len(self.limits_w) == len(self.draws_w) == len(self.speeds):
            raise UnplannableError("a device without modes, or with modes half described", "give all three of each")
        if not all(math.isfinite(value) for value in (*self.draws_w, self.parked_w)):
            raise UnplannableError("a draw that is no number", "give watts")
        if not all(math.isfinite(speed) and speed > 0 for speed in self.speeds):
            raise UnplannableError("a mode that does no work", "give speeds above 0; parked is a mode of its own")

    @classmethod
    def of(cls, curve: PowerCurve) -> Self:
        """The measured limits of `curve` as modes; draws between them come from sharing an interval."""
        return cls(limits_w=curve.limits_w, draws_w=curve.draws_w, speeds=curve.speeds, parked_w=curve.parked_w)

    @property
    def full(self) -> int:
        """The fastest mode; of equally fast ones that with the lowest draw."""
        return min(range(len(self.speeds)), key=lambda mode: (-self.speeds[mode], self.draws_w[mode]))

    @property
    def switch_w(self) -> float:
        """Draw in the seconds of a pause or a resume: the highest of any mode, so that no switch looks too cheap."""
        return max(self.draws_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchCosts:
    """Seconds of an interval in which the board draws `Device.switch_w` and does no work."""

    pause_seconds: float = 2.0
    """From running to parked."""
    resume_seconds: float = 10.0
    """From parked to running."""

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) and value >= 0 for value in (self.pause_seconds, self.resume_seconds)):
            raise UnplannableError("a switch that takes less than no time", "give seconds, 0 or more")

    @property
    def free(self) -> bool:
        """Whether stopping and starting cost nothing; then it may happen at any second, too."""
        return self.pause_seconds == 0 and self.resume_seconds == 0


FREE_SWITCHES = SwitchCosts(pause_seconds=0.0, resume_seconds=0.0)
