"""What numbers the events of an agent, whichever board they are of."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

__all__ = ["LogBook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBook:
    """With its beginning a number is one event's in the whole fleet."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    sequence: Iterator[int] = field(default_factory=count)
