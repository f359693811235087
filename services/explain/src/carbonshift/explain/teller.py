"""Who tells a transition: Claude where it is asked and what it wrote is fit to publish, else the template. Shell."""

import asyncio
from collections.abc import Awaitable, Callable

from carbonshift.common.errors import TransientError
from carbonshift.common.events import GridTransition, Narrative
from carbonshift.explain.facts import FactSheet, fact_sheet
from carbonshift.explain.narrative import narrative_of
from carbonshift.explain.pace import Pace
from carbonshift.explain.patience import patience
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.template import narrate
from carbonshift.explain.writer import Writer

__all__ = ["Teller"]

ALIVE_SECONDS = 3.0
"""Well within what the broker waits for an acknowledgement."""


class Teller:
    """Tells one transition at a time."""

    def __init__(self, settings: ExplainSettings) -> None:
        """Raises: InputError where the writer cannot be used."""
        self.writer = Writer.of(settings)
        self._pace = Pace(settings.anthropic_seconds_between_calls)
        self._writing: asyncio.Task[str | None] | None = None
        self._stopping = False

    async def tell(
        self, transition: GridTransition, alive: Callable[[], Awaitable[None]], *, newer_wait: bool
    ) -> Narrative:
        """Its narrative.

        Args:
            transition: what is told.
            alive: is called now and then, as long as it takes.
            newer_wait: whether others wait behind it; then nobody is asked.
        Raises: TransientError where `stop` came first.
        """
        sheet = fact_sheet(transition)
        writer = self.writer
        if writer is None or not self._asks(writer, transition, newer_wait=newer_wait):
            return narrative_of(transition, sheet, narrate(sheet))
        async with patience(alive, ALIVE_SECONDS):
            text = await self._written(writer, sheet)
        if text is None:
            return narrative_of(transition, sheet, narrate(sheet), fallback=True)
        return narrative_of(transition, sheet, text, model=writer.name)

    def stop(self) -> None:
        """What is being written is given up; it is for the next start to tell."""
        self._stopping = True
        if self._writing:
            self._writing.cancel()

    async def close(self) -> None:
        """Let go of the connections."""
        if self.writer:
            await self.writer.close()

    def _asks(self, writer: Writer, transition: GridTransition, *, newer_wait: bool) -> bool:
        if writer.replays:  # costs nothing, and tells the same however fast it goes
            return True
        now_seconds = asyncio.get_running_loop().time()
        return not newer_wait and self._pace.allows(transition.region, transition.id, now_seconds)

    async def _written(self, writer: Writer, sheet: FactSheet) -> str | None:
        if not self._stopping:
            writing = self._writing = asyncio.create_task(writer.write(sheet))
            try:
                await asyncio.wait([writing])
            finally:
                writing.cancel()
            if not writing.cancelled():
                return writing.result()
        raise TransientError("explain stops before its narrative is written", "it is told after the next start")
