"""How often a state has changed of late. Pure."""

from datetime import datetime, timedelta

from carbonshift.common.events import GridTransition

__all__ = ["RecentChanges"]

HOUR = timedelta(hours=1)
RUNS = 64
"""Regions and runs that are remembered: those that were heard last."""


class RecentChanges:
    """By region and run the transitions of the last hour, since this service started."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str | None], dict[str, datetime]] = {}

    def count(self, transition: GridTransition) -> int:
        """Of the hour up to `transition`, itself among them; one delivered again is counted once."""
        key = (transition.region, transition.state.replay.run if transition.state.replay else None)
        known = self._changes.pop(key, {}) | {transition.id: transition.time}
        recent = {name: at for name, at in known.items() if transition.time - HOUR < at <= transition.time}
        self._changes[key] = recent
        if len(self._changes) > RUNS:
            del self._changes[next(iter(self._changes))]
        return len(recent)
