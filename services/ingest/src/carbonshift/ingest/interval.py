"""Where an interval begins. Pure."""

from datetime import UTC, datetime, timedelta

__all__ = ["EPOCH", "begin_of"]

EPOCH = datetime.fromtimestamp(0, UTC)


def begin_of(moment: datetime, interval_seconds: int) -> datetime:
    """Beginning of the interval in which `moment` lies; intervals are counted from the Unix epoch."""
    return moment - (moment - EPOCH) % timedelta(seconds=interval_seconds)
