"""Publishes what a source gives beside its readings, each event once, and endangers no tick by it."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.events import Event
from carbonshift.ingest.chain import DEADLINE_SHARE
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource

__all__ = ["PAUSE_SECONDS", "Question", "SideFeed"]

E = TypeVar("E", bound=Event)
Question = Callable[[], Awaitable[Sequence[E]]]
"""Asks the source; what it answers and was not published yet."""

logger = logging.getLogger("carbonshift.ingest")

PAUSE_SECONDS = 300.0
"""No provider known here has more of it in that time."""


@dataclass(slots=True)
class SideFeed(ABC, Generic[E]):
    """What comes of one source. A failure withholds no other question, and is said once until all is well again."""

    what: ClassVar[str]
    """How messages call it: `its forecast`."""

    settings: IngestSettings
    source: GridSource
    publisher: Publisher
    clock: Callable[[], datetime]
    """The time in UTC."""
    failing: bool = field(default=False, init=False)

    @abstractmethod
    def questions(self, now: datetime) -> Iterable[Question[E]]:
        """What there is to ask; none where all is known."""

    @abstractmethod
    def keep(self, news: Sequence[E]) -> None:
        """Take note of what has been published."""

    @property
    def pause_seconds(self) -> float:
        """From one poll to the next."""
        return PAUSE_SECONDS

    async def poll(self) -> list[E]:
        """Publish what is new, and return it."""
        answers = [await self._answer(question) for question in self.questions(self.clock())]
        if self.failing and answers and None not in answers:
            logger.info("%s answers again about %s", self.source.name, self.what)
            self.failing = False
        news = [event for answer in answers if answer for event in answer]
        await self.publisher.publish(news)
        self.keep(news)
        return news

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await self.poll()
            await asyncio.sleep(self.pause_seconds)

    async def _answer(self, question: Question[E]) -> Sequence[E] | None:
        """None where the source fails."""
        level = logging.DEBUG if self.failing else logging.WARNING
        name = self.source.name
        try:
            async with asyncio.timeout(self.settings.poll_seconds * DEADLINE_SHARE):
                return await question()
        except (CarbonShiftError, TimeoutError) as error:
            said = error if isinstance(error, CarbonShiftError) else f"{name} takes too long"
            logger.log(level, "%s: %s is not published: %s", name, self.what, said)
        except Exception:
            logger.log(level, "%s has an error of its own in %s", name, self.what, exc_info=True)
        self.failing = True
        return None
