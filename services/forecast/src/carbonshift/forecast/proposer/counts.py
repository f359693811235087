"""What has come of a proposer's questions so far."""

from collections import Counter
from dataclasses import dataclass, field

from carbonshift.forecast.proposer.reason import Reason

__all__ = ["ProposerCounts"]


@dataclass(slots=True, kw_only=True)
class ProposerCounts:
    """Since the start of this process; what the day has spent stands in the journal."""

    calls: int = 0
    """Questions that went out, each perhaps more than once."""
    used: int = 0
    """Answers that became proposals."""
    from_journal: int = 0
    """Questions that were answered without a call."""
    dropped: Counter[Reason] = field(default_factory=Counter)
    """Questions that brought no proposal."""
    usd: float = 0.0
    """What the calls cost."""
