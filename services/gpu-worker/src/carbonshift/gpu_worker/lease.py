"""Until when a state may be followed, on the wall clock. Pure."""

from datetime import datetime, timedelta

from carbonshift.common.events import GridState

__all__ = ["lease_end"]


def lease_end(state: GridState, since: datetime, replay_lease_seconds: float) -> datetime:
    """When the lease of `state` runs out, on the wall clock.

    A live state says so itself. A replayed one, whose `valid_until` is of another time, holds from `since` for as long
    as its interval takes at the replay's speed, and `replay_lease_seconds` more.
    """
    if state.replay is None:
        return state.valid_until
    interval_wall_seconds = state.interval_seconds / state.replay.speed if state.replay.speed else 0.0
    return since + timedelta(seconds=interval_wall_seconds + replay_lease_seconds)
