"""Runs the dashboard: `python -m carbonshift.dashboard`."""

import logging
import signal
import socket
from types import FrameType

import uvicorn

from carbonshift.common.http_endpoint import listening, shown_url
from carbonshift.common.process import run_process
from carbonshift.common.reach import reach_broker
from carbonshift.dashboard.app import build
from carbonshift.dashboard.settings import DashboardSettings

STOP_SECONDS = 3
"""How long a request may take to end once the service stops; the streams of events end at once."""


class Server(uvicorn.Server):
    """Ends the streams of events as it stops: they would hold it up until the time is out."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, streams first."""
        self.config.app.state.board.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


async def serve(settings: DashboardSettings, *, wait: bool) -> None:
    """Serve until SIGTERM or SIGINT; with `wait` the page is there before the broker is.

    Raises: InputError where the address cannot be listened on, BrokerUnreachableError.
    """
    if not wait:
        await reach_broker(settings)
    with listening(settings.http_host, settings.http_port) as listener:
        config = uvicorn.Config(
            build(settings),
            timeout_graceful_shutdown=STOP_SECONDS,
            log_config=None,
            access_log=False,
            log_level=logging.WARNING,
        )
        server = Server(config)

        def stop(_number: int, _frame: FrameType | None) -> None:
            """Before uvicorn heeds signals itself, and once more after: it raises them again when it has stopped."""
            server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        logging.getLogger("carbonshift.dashboard").info(shown_url(listener))
        await server.serve([listener])


if __name__ == "__main__":
    run_process(serve, DashboardSettings, "The fleet and the grid on one page.")
