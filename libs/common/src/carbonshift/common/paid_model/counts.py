"""What has come of the questions to a model so far."""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["CallCounts"]


@dataclass(slots=True, kw_only=True)
class CallCounts:
    """Since the start of this process; what the day has spent stands in the journal."""

    calls: int = 0
    """Questions that went out, each perhaps more than once."""
    from_journal: int = 0
    """Questions that were answered without a call."""
    dropped: Counter[str] = field(default_factory=Counter)
    """What has brought nothing that can be used, by reason."""
    usd: float = 0.0
    """What the calls cost."""
