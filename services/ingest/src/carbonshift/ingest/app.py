"""Shell of ingest: a recording or a polled source in, ticks out."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from faststream import FastStream

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.events import DayAheadPrices, FuelMix, GridTick, ProvidedForecast, Replay
from carbonshift.common.streams import declare_streams
from carbonshift.common.tape import open_tape
from carbonshift.ingest.bundled import find_tape
from carbonshift.ingest.live import Live
from carbonshift.ingest.replay import replay_tape, span_of
from carbonshift.ingest.settings import IngestSettings

__all__ = ["build", "new_run"]

logger = logging.getLogger("carbonshift.ingest")


def new_run() -> str:
    """An id for one replay: two replays of a tape are two histories."""
    return uuid4().hex[:8]


def build(settings: IngestSettings | None = None) -> FastStream:
    """Wire ingest to its broker. Raises: InputError where tape or source cannot be had; nothing is published then."""
    settings = settings or IngestSettings.load()
    broker = connect(settings)
    kinds = (GridTick, DayAheadPrices, ProvidedForecast, FuelMix)
    Outlet(broker, settings, *kinds)  # for AsyncAPI; the feeds publish by themselves
    tape = open_tape(find_tape(settings.tape)) if settings.tape else None
    asked = settings.price_sources or settings.carbon_sources or settings.day_ahead_source
    live = Live(settings) if asked and not tape else None

    async def feed() -> None:
        if tape:
            replay = Replay(run=new_run(), speed=settings.speed)
            count = await replay_tape(settings, tape, span_of(tape), replay)
            logger.info("the tape %s has ended after %d ticks", tape.path.name, count)
        elif live:
            await live.run()
        else:
            logger.info("neither a tape nor sources are set: ticks come by `carbonshift replay`")

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await declare_streams(settings)
        task = asyncio.create_task(feed())
        task.add_done_callback(partial(_stop_on_error, app))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app = FastStream(broker, lifespan=lifespan)
    return app


def _stop_on_error(app: FastStream, task: "asyncio.Task[None]") -> None:
    """A feed that cannot go on ends the service; its error is raised once more as the service closes."""
    if not task.cancelled() and task.exception():
        app.exit()
