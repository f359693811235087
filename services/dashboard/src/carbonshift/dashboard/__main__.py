"""Runs the dashboard: `python -m carbonshift.dashboard`."""

import logging
import signal
import socket
from types import FrameType

import uvicorn

from carbonshift.common.errors import InputError
from carbonshift.common.process import run_process
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


async def serve(settings: DashboardSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises: InputError where the address cannot be listened on.
    """
    with _listener(settings) as listener:
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
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        logging.getLogger("carbonshift.dashboard").info("http://%s:%d/", shown, port)
        await server.serve([listener])


def _listener(settings: DashboardSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2_048)
    except OSError as error:
        raise InputError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}",
            "set CARBONSHIFT_PORT to a free one (0 finds one), or CARBONSHIFT_HOST to an address of this machine",
        ) from error


if __name__ == "__main__":
    run_process(serve, DashboardSettings, "The fleet and the grid on one page.")
