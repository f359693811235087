"""Where an interval begins. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["EPOCH", "OfInterval", "begin_of"]

EPOCH = datetime.fromtimestamp(0, UTC)


class OfInterval(Protocol):
    """Whatever a source says of one interval."""

    @property
    def interval_start(self) -> datetime:
        """In UTC."""


def begin_of(moment: datetime, interval_seconds: int) -> datetime:
    """Beginning of the interval in which `moment` lies; intervals are counted from the Unix epoch."""
    return moment - (moment - EPOCH) % timedelta(seconds=interval_seconds)
