"""How an event says that it belongs to a replayed recording and not to today's grid."""

from pydantic import BaseModel, ConfigDict, Field

from carbonshift.common.events.base import Name

__all__ = ["Replay", "mark"]


class Replay(BaseModel):
    """Marks an event as part of a replayed recording, so that nobody takes last year's grid for today's."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)

    run: Name
    """One id per replay: two replays of a tape are two histories."""
    speed: float | None = Field(default=None, gt=0)
    """Seconds of event time per second of wall time; null = as fast as it goes."""


def mark(replay: Replay | None) -> str:
    """What a replay adds to an event's id."""
    return f":{replay.run}" if replay else ""
