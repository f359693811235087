"""What a training says of its work: how much is left, by when, and what an hour of it is worth.

A script says it itself, by `session`, or has it said by the environment: `CARBONSHIFT_TOTAL_STEPS`, a number of
optimizer steps; `CARBONSHIFT_DEADLINE`, a time with its zone; `CARBONSHIFT_USD_PER_GPU_HOUR`, a number of dollars.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

__all__ = ["DEADLINE", "MOST_STEPS", "MOST_USD", "TOTAL_STEPS", "USD_PER_GPU_HOUR", "Declaration", "moment"]

TOTAL_STEPS: Final = "CARBONSHIFT_TOTAL_STEPS"
DEADLINE: Final = "CARBONSHIFT_DEADLINE"
USD_PER_GPU_HOUR: Final = "CARBONSHIFT_USD_PER_GPU_HOUR"

T = TypeVar("T")

MOST_STEPS: Final = 10**15
MOST_USD: Final = 1e6
WRITTEN: Final = "write it with its zone, such as 2026-11-24T09:00Z or 2026-11-24T09:00:00+01:00"


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
        steps, deadline, usd = self.remaining_steps, self.deadline, self.usd_per_gpu_hour
        if steps is not None and not (isinstance(steps, int) and 0 <= steps <= MOST_STEPS):
            raise ValueError(f"remaining_steps is {steps!r}, not a whole number from 0 to {MOST_STEPS}")
        if deadline is not None and not isinstance(deadline, datetime):
            raise ValueError(f"the deadline is {deadline!r}, not a datetime")
        if deadline is not None and deadline.tzinfo is None:
            raise ValueError(f"the deadline {deadline.isoformat()} has no time zone; give it one, such as tzinfo=UTC")
        if usd is not None and not (isinstance(usd, int | float) and 0 <= usd <= MOST_USD):
            raise ValueError(f"usd_per_gpu_hour is {usd!r}, not a number from 0 to {MOST_USD:g}")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Declaration":
        """What `environment` says. Raises ValueError."""
        return cls(
            remaining_steps=_said(environment, TOTAL_STEPS, int),
            deadline=_said(environment, DEADLINE, moment),
            usd_per_gpu_hour=_said(environment, USD_PER_GPU_HOUR, float),
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


def moment(text: str) -> datetime:
    """The time that `text` names, with its zone. Raises ValueError that says how to write it. Source: RFC 3339."""
    try:
        named = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"the deadline {text[:40]!r} is no time; {WRITTEN}") from None
    if named.tzinfo is None:
        raise ValueError(f"the deadline {text[:40]!r} has no time zone; {WRITTEN}")
    return named


def _said(environment: Mapping[str, str], name: str, parse: Callable[[str], T]) -> T | None:
    text = environment.get(name)
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{name}={text[:40]!r}: {error}") from None
