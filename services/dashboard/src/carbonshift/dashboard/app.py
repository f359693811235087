"""Shell of the dashboard: events in, one page and a small HTTP API out. It changes nothing on the broker."""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse
from fastapi.staticfiles import StaticFiles

from carbonshift.dashboard.board import Board
from carbonshift.dashboard.feed import Feed
from carbonshift.dashboard.fleet import KINDS, Bounds, Fleet
from carbonshift.dashboard.health import health
from carbonshift.dashboard.secure import SecureHeaders
from carbonshift.dashboard.settings import DashboardSettings
from carbonshift.dashboard.view import Snapshot, snapshot

__all__ = ["build"]

STATIC = Path(__file__).parent / "static"
GATHER_SECONDS = 0.25
"""Changes within it go out together: a replay at full speed is still drawn four times a second."""
HEARTBEAT_SECONDS = 5.0
WHOLE_SECONDS = 60.0
"""How often a page is told everything again, so that what has been let go disappears."""


def build(settings: DashboardSettings | None = None) -> FastAPI:
    """The fleet and the grid on one page, and as an API. A factory: nothing is global."""
    settings = settings or DashboardSettings.load()
    board = Board(Bounds(points=settings.history_intervals))
    feed = Feed(settings, KINDS, settings.history_intervals, board.hear, board.touch)

    heard_by: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        settings.servers()  # refused at once where there is none
        hearing = asyncio.create_task(feed.run())
        heard_by.append(hearing)
        hearing.add_done_callback(_tell_if_failed)
        try:
            yield
        finally:
            board.close()
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    def present(fleet: Fleet, since: Fleet | None) -> Snapshot:
        return snapshot(
            fleet,
            datetime.now(UTC),
            since=since,
            quiet_seconds=settings.quiet_seconds,
            broker_connected=feed.connected,
            unreadable_messages=feed.unreadable_messages,
        )

    app = FastAPI(
        title="CarbonShift dashboard",
        version="1",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page takes scripts from a CDN
        redoc_url=None,
    )
    app.state.board = board
    app.add_middleware(SecureHeaders)
    app.include_router(health(feed, lambda: any(not task.done() for task in heard_by)))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/api/v1/snapshot")
    async def whole() -> Snapshot:
        """The fleet and the grid as of now."""
        return present(board.fleet, None)

    @app.get("/api/v1/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterable[Snapshot]:
        """First everything, then what changes as it changes; an empty message every few seconds shows that it lives."""
        async for message in _changes(board, present):
            yield message

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    return app


async def _changes(board: Board, present: Callable[[Fleet, Fleet | None], Snapshot]) -> AsyncIterator[Snapshot]:
    loop = asyncio.get_running_loop()
    sent: Fleet | None = None
    whole_again_at = 0.0
    while not board.closed:
        fleet, version = board.fleet, board.version
        if sent is None or loop.time() >= whole_again_at:
            sent, whole_again_at = None, loop.time() + WHOLE_SECONDS
        yield present(fleet, sent)
        sent = fleet
        await asyncio.sleep(GATHER_SECONDS)
        await board.changed(version, HEARTBEAT_SECONDS)


def _tell_if_failed(hearing: asyncio.Task[None]) -> None:
    """The page stays up and says that the broker is away; the log says why."""
    if not hearing.cancelled() and (error := hearing.exception()):
        logging.getLogger("carbonshift.dashboard").critical("no longer listening to the broker", exc_info=error)
