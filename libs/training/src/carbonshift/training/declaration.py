"""What a training says of its work: how much is left, by when, and what an hour of it is worth.

A script says it itself, by `session`, or has it said by the environment: `CARBONSHIFT_TOTAL_STEPS`, a number of
optimizer steps; `CARBONSHIFT_DEADLINE`, a time with its zone; `CARBONSHIFT_USD_PER_GPU_HOUR`, a number of dollars.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["DEADLINE", "MOST_STEPS", "MOST_USD", "TOTAL_STEPS", "USD_PER_GPU_HOUR", "Declaration"]

TOTAL_STEPS: Final = "CARBONSHIFT_TOTAL_STEPS"
DEADLINE: Final = "CARBONSHIFT_DEADLINE"
USD_PER_GPU_HOUR: Final = "CARBONSHIFT_USD_PER_GPU_HOUR"

MOST_STEPS: Final = 10**15
MOST_USD: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """None is what is not said. Raises ValueError for what makes no sense."""

    remaining_steps: int | None = None
    """Optimizer steps from now to the end."""
    deadline: datetime | None = None
    """When it has to be done: in the time of the grid that is followed, which in a replay is the recording's."""
    usd_per_gpu_hour: float | None = None
    """What an hour of a GPU is worth, waiting included."""

    def __post_init__(self) -> None:
        if self.remaining_steps is not None and not 0 <= self.remaining_steps <= MOST_STEPS:
            raise ValueError(f"remaining_steps is {self.remaining_steps}, not 0 to {MOST_STEPS}")
        if self.deadline is not None and self.deadline.tzinfo is None:
            raise ValueError(f"the deadline {self.deadline.isoformat()} has no time zone")
        if self.usd_per_gpu_hour is not None and not 0 <= self.usd_per_gpu_hour <= MOST_USD:
            raise ValueError(f"usd_per_gpu_hour is {self.usd_per_gpu_hour:g}, not 0 to {MOST_USD:g}")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Declaration":
        """What `environment` says. Raises ValueError, with the variable's value."""
        steps, deadline, usd = (environment.get(name) for name in (TOTAL_STEPS, DEADLINE, USD_PER_GPU_HOUR))
        return cls(
            remaining_steps=int(steps) if steps else None,
            deadline=datetime.fromisoformat(deadline) if deadline else None,
            usd_per_gpu_hour=float(usd) if usd else None,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment that says it for a training which has yet to begin."""
        said = {
            TOTAL_STEPS: self.remaining_steps,
            DEADLINE: None if self.deadline is None else self.deadline.isoformat(),
            USD_PER_GPU_HOUR: self.usd_per_gpu_hour,
        }
        return {name: str(value) for name, value in said.items() if value is not None}
