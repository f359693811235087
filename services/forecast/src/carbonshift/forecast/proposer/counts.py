"""What has come of a proposer's questions so far."""

from dataclasses import dataclass

from carbonshift.common.paid_model import CallCounts

__all__ = ["ProposerCounts"]


@dataclass(slots=True, kw_only=True)
class ProposerCounts(CallCounts):
    """Those of every model's calls, and one more."""

    used: int = 0
    """Answers that became proposals."""
