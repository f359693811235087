"""Shell of ingest: a recording or a polled source in, ticks out."""

import asyncio
import contextlib
import logging
from uuid import uuid4

from carbonshift.common.broker import Outlet
from carbonshift.common.events import DayAheadPrices, FuelMix, GridTick, ProvidedForecast, Replay
from carbonshift.common.service import Service
from carbonshift.common.tape import open_tape
from carbonshift.ingest.bundled import find_tape
from carbonshift.ingest.live import Live
from carbonshift.ingest.metrics import IngestMetrics
from carbonshift.ingest.replay import replay_tape, span_of
from carbonshift.ingest.settings import IngestSettings

__all__ = ["build", "new_run"]

logger = logging.getLogger("carbonshift.ingest")


def new_run() -> str:
    """An id for one replay: two replays of a tape are two histories."""
    return uuid4().hex[:8]


def build(settings: IngestSettings | None = None) -> Service:
    """Wire ingest to its broker. Raises: InputError where tape or source cannot be had; nothing is published then."""
    settings = settings or IngestSettings.load()
    service = Service(settings)
    metrics = IngestMetrics(service.registry)
    kinds = (GridTick, DayAheadPrices, ProvidedForecast, FuelMix)
    Outlet(service.broker, settings, *kinds)  # for AsyncAPI; the feeds publish by themselves
    tape = open_tape(find_tape(settings.tape)) if settings.tape else None
    asked = settings.price_sources or settings.carbon_sources or settings.day_ahead_source
    live = Live(settings, metrics) if asked and not tape else None

    async def feed() -> None:
        if tape:
            replay = Replay(run=new_run(), speed=settings.speed)
            count = await replay_tape(settings, tape, span_of(tape), replay, stored=metrics.stored)
            logger.info("the tape %s has ended after %d ticks", tape.path.name, count)
        elif live:
            await live.run()
        else:
            logger.info("neither a tape nor sources are set: ticks come by `carbonshift replay`")

    feeding: list[asyncio.Task[None]] = []

    @service.after_startup
    async def begin() -> None:
        feeding.append(asyncio.create_task(feed()))
        feeding[0].add_done_callback(stop_on_error)

    @service.after_shutdown
    async def end() -> None:
        for task in feeding:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def stop_on_error(task: asyncio.Task[None]) -> None:
        """A feed that cannot go on ends the service; its error is raised once more as the service closes."""
        if not task.cancelled() and task.exception():
            service.exit()

    return service
