"""Events on their way to the broker, in order: whoever makes one never waits for the network."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from carbonshift.common.broker import Outlet
from carbonshift.common.errors import TransientError
from carbonshift.common.events import Event, WorkerTelemetry

__all__ = ["Outbox"]

KEPT = 5_000
"""Events kept while the broker is away."""
AMPLE = 100
"""With fewer than this on their way there is room for more."""

log = logging.getLogger(__name__)


class Outbox:
    """A queue with one publisher. An event is repeated under its id until it is stored, and before what comes after it.

    Telemetry of several boards goes together: one waking serves them all.
    """

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._waiting: deque[Event] = deque()
        self._moved = asyncio.Condition()
        self._storing: list[Event] = []
        self._dropped = 0
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, heard: Callable[[Event], None]) -> None:
        """Have `heard` called with each event, as it is put."""
        self._listeners.append(heard)

    async def put(self, *events: Event) -> None:
        """Queue `events`."""
        async with self._moved:
            self._waiting.extend(events)
            while len(self._waiting) > KEPT:
                self._drop()
            self._moved.notify_all()
        for heard in self._listeners:
            for event in events:
                heard(event)

    def holds(self, kind: type[Event]) -> bool:
        """Whether an event of `kind` is still on its way."""
        return any(isinstance(event, kind) for event in (*self._storing, *self._waiting))

    async def room(self) -> None:
        """Return when little is on its way: what keeps a fast replay from running ahead of its own record."""
        async with self._moved:
            await self._moved.wait_for(lambda: len(self._waiting) < AMPLE)

    async def emptied(self) -> None:
        """Return when all is stored."""
        async with self._moved:
            await self._moved.wait_for(lambda: not self._waiting and not self._storing)

    async def run(self) -> None:
        """Publish, for ever."""
        while True:
            async with self._moved:
                self._storing = []
                self._moved.notify_all()
                await self._moved.wait_for(lambda: self._waiting)
                self._storing = self._next()
                dropped, self._dropped = self._dropped, 0
            if dropped:
                log.warning("%d events were dropped while the broker was away", dropped)
            await asyncio.gather(*(self._store(event) for event in self._storing))

    def _drop(self) -> None:
        """The oldest telemetry, which newer telemetry outdates; without any the oldest event."""
        self._dropped += 1
        for number, event in enumerate(self._waiting):
            if isinstance(event, WorkerTelemetry):
                del self._waiting[number]
                return
        self._waiting.popleft()

    def _next(self) -> list[Event]:
        """What goes now: one event, or telemetry of different boards, which no order binds."""
        events = {}
        while self._waiting:
            first = self._waiting[0]
            if not isinstance(first, WorkerTelemetry) or first.device_uuid in events:
                break
            events[first.device_uuid] = self._waiting.popleft()
        return [*events.values()] or [self._waiting.popleft()]

    async def _store(self, event: Event) -> None:
        while True:
            try:
                return await self._outlet.publish(event)
            except TransientError as error:
                log.warning("%s; again", error)
            except Exception:
                log.exception("%s cannot be published", event.id)
                return None
