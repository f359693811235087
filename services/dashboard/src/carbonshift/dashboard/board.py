"""The fleet of this moment, and the wait for the next change of it."""

import asyncio
from datetime import datetime

from carbonshift.common.events import Event
from carbonshift.dashboard.fleet import Bounds, Fleet, fold

__all__ = ["Board"]


class Board:
    """One writer, any number of readers: a fleet never changes, a new one takes its place."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._changed = asyncio.Event()
        self.fleet = Fleet()
        self.version = 0
        """Counts the changes: a reader that remembers it misses none."""
        self.closed = False

    def hear(self, event: Event, at: datetime) -> None:
        """Take in `event`, which its stream stored at `at`."""
        self.fleet = fold(self.fleet, event, at, self._bounds)
        self.touch()

    def touch(self) -> None:
        """Something has changed that readers tell of; whoever waits holds the old event, the next wait is for a new."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """End every stream of changes."""
        self.closed = True
        self.touch()

    async def changed(self, since_version: int, timeout_seconds: float) -> None:
        """Return when something has changed since that version, or the time is up."""
        if self.version != since_version:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return
