"""What paid answers cost, and what a day may cost. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from carbonshift.common.events.base import Instant

__all__ = ["Budget", "PaidCall"]


class PaidCall(BaseModel):
    """One question to a model that is paid for, and what came of it: an answer, or the reason why there is none."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    id: str
    """Of this call: whatever is said of it later has the same one."""
    key: str
    """Of the question: the same one has the same key."""
    at: Instant
    """When it was asked; that UTC day pays for it."""
    model: str
    usd: float = Field(ge=0, allow_inf_nan=False)
    """What it cost; where nobody told, what it may have cost at most."""
    tokens_in: NonNegativeInt | None = None
    """None where nobody told."""
    tokens_out: NonNegativeInt | None = None
    answer: str | None = None
    """The text as it came, for good or ill."""
    reason: str | None = None

    @property
    def day(self) -> date:
        """The UTC day that pays for it."""
        return self.at.date()

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.answer is None) == (self.reason is None):
            raise ValueError("either an answer, or the reason why there is none")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a UTC day may take."""

    calls_per_day: int
    usd_per_day: float

    def exceeded(self, call: PaidCall, others: Iterable[PaidCall]) -> str | None:
        """What `call` would exceed beside the `others` of its day; None where it may be made."""
        costs = [other.usd for other in others if other.day == call.day]
        if len(costs) >= self.calls_per_day:
            return f"{len(costs)} of {self.calls_per_day} calls of the day are made"
        if math.fsum((*costs, call.usd)) > self.usd_per_day:
            spent = math.fsum(costs)
            return f"{spent:.4f} of {self.usd_per_day:g} USD of the day are spent, and {call.usd:.4f} more could be"
        return None
