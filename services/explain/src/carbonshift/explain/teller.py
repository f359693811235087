"""Who tells a transition: Claude where it is asked and what it wrote is fit to publish, else the template. Shell."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from carbonshift.common.errors import TransientError
from carbonshift.common.events import GridTransition, Narrative
from carbonshift.explain.facts import fact_sheet
from carbonshift.explain.in_time import in_time
from carbonshift.explain.languages import English, Language
from carbonshift.explain.last_stored import last_stored
from carbonshift.explain.lookout import Lookout, answer_seconds
from carbonshift.explain.narrative import narrative_of
from carbonshift.explain.pace import Pace
from carbonshift.explain.patience import patience
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.writer import Writer

__all__ = ["Teller"]

ALIVE_SECONDS = 3.0
"""Well within what the broker waits for an acknowledgement."""
UNSTORED = 8
"""Narratives that are kept until they are stored; they come one at a time."""
T = TypeVar("T")


class Teller:
    """Tells one transition at a time."""

    def __init__(self, settings: ExplainSettings) -> None:
        """Raises: InputError where the writer cannot be used."""
        self.writer = Writer.of(settings)
        self.lookout = Lookout(settings.subject_prefix)
        self._prefix = settings.subject_prefix
        self._language: Language = English()
        self._zone = ZoneInfo(settings.time_zone)
        self._most_seconds = settings.answer_seconds
        self._pace = Pace(settings.anthropic_seconds_between_calls)
        self._unstored: dict[str, Narrative] = {}
        """By transition: what was written, and may have been paid for, before it could be stored."""
        self._working: asyncio.Task[Any] | None = None
        self._stopping = False

    async def tell(
        self,
        transition: GridTransition,
        message: Msg,
        jetstream: JetStreamContext,
        store: Callable[[Narrative], Awaitable[None]],
    ) -> None:
        """Have its narrative stored, where it is not yet.

        Args:
            transition: what is told.
            message: that brought it; while others wait behind it, nobody is waited for and nobody is asked.
            jetstream: where what is around it can be looked up.
            store: what takes the narrative; one that could not be stored is not written anew when it comes again.
        Raises: TransientError where `stop` came first, or the broker did not answer in time.
        """
        async with patience(message.in_progress, ALIVE_SECONDS):
            await self._unless_stopped(self._tell(transition, message, jetstream, store))

    def stop(self) -> None:
        """What is under way is given up; it is for the next start to tell."""
        self._stopping = True
        if self._working:
            self._working.cancel()

    async def close(self) -> None:
        """Let go of the connections."""
        if self.writer:
            await self.writer.close()

    async def _tell(
        self,
        transition: GridTransition,
        message: Msg,
        jetstream: JetStreamContext,
        store: Callable[[Narrative], Awaitable[None]],
    ) -> None:
        last = await in_time(last_stored(jetstream, self._prefix, Narrative, transition.region))
        if last is None or last.transition_id != transition.id:  # they come in order, one at a time
            if transition.id not in self._unstored:
                self._unstored[transition.id] = await self._write(transition, message, jetstream)
                if len(self._unstored) > UNSTORED:
                    del self._unstored[next(iter(self._unstored))]
            await store(self._unstored[transition.id])
        self._unstored.pop(transition.id, None)

    async def _write(self, transition: GridTransition, message: Msg, jetstream: JetStreamContext) -> Narrative:
        newest = not message.metadata.num_pending
        if newest and (seconds := answer_seconds(transition, self._most_seconds)):
            await asyncio.sleep(seconds)
        around = await self.lookout.around(transition, message.metadata.timestamp, jetstream)
        sheet = fact_sheet(transition, around, self._zone)
        writer = self.writer
        if writer is None or not self._asks(writer, transition, newest=newest):
            return narrative_of(transition, sheet, self._language.narrate(sheet))
        text = await writer.write(sheet)
        if text is None:
            return narrative_of(transition, sheet, self._language.narrate(sheet), fallback=True)
        return narrative_of(transition, sheet, text, model=writer.name)

    def _asks(self, writer: Writer, transition: GridTransition, *, newest: bool) -> bool:
        if writer.replays:  # costs nothing, and tells the same however fast it goes
            return True
        now_seconds = asyncio.get_running_loop().time()
        return newest and self._pace.allows(transition.region, transition.id, now_seconds)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        working: asyncio.Task[T] = asyncio.create_task(work)
        self._working = working
        if self._stopping:
            working.cancel()
        try:
            await asyncio.wait([working])
        finally:
            working.cancel()
        if working.cancelled():
            raise TransientError("explain stops before its narrative is written", "it is told after the next start")
        return working.result()
