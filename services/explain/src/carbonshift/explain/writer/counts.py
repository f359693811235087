"""What has come of a writer's questions so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from carbonshift.common.paid_model import CallCounts

__all__ = ["MEANINGS", "WriterCounts"]

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "accepted_at_first": "Texts that had nothing wrong with them.",
        "accepted_at_second": "Texts that had nothing wrong with them any more.",
        "retries": "Second questions, which name what was wrong.",
        "violations": "What was wrong, in all texts.",
    }
)
"""Of the counts below, for Prometheus."""


@dataclass(slots=True, kw_only=True)
class WriterCounts(CallCounts):
    """Those of every model's calls, and what the verification found."""

    accepted_at_first: int = 0
    accepted_at_second: int = 0
    retries: int = 0
    violations: int = 0
