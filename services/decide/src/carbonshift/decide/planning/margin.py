"""How much time before a deadline must not be needed: learnt from how far a job fell behind what was promised. Pure."""

from dataclasses import dataclass, replace
from typing import Self

__all__ = ["LEAST_MARGIN_SECONDS", "Margin"]

LEAST_MARGIN_SECONDS = 36.0
"""Of any job: a resume, and what a clock may be off."""
WEIGHT = 0.2
"""Of the newest interval in what was learnt."""
SAFETY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What one job has taught so far."""

    behind: float = 0.0
    """Work that was promised and not done, as a share of what was promised; exponentially weighted."""

    def after(self, promised_seconds: float, done_seconds: float) -> Self:
        """What is known once an interval has brought so much of the work that was promised for it, 0 = nothing was."""
        if promised_seconds <= 0:
            return self
        missed = min(max(1.0 - done_seconds / promised_seconds, 0.0), 1.0)
        return replace(self, behind=self.behind + WEIGHT * (missed - self.behind))

    def seconds(self, work_seconds: float) -> float:
        """To be kept free before the deadline while so much work is left."""
        return LEAST_MARGIN_SECONDS + SAFETY * self.behind * work_seconds
