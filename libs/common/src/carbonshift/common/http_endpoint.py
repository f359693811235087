"""The HTTP endpoint of a service: /metrics, /healthz and /readyz, in threads of their own."""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from carbonshift.common.answers import ALIVE, Answer, as_json, metrics, readiness
from carbonshift.common.errors import InputError

__all__ = ["answering", "listening", "shown_url"]

LOOP_SECONDS = 5.0
"""An event loop that has not answered by then hangs; whoever asks may be less patient."""
SLOW_CLIENT_SECONDS = 10.0
LOOK_SECONDS = 0.5

log = logging.getLogger("carbonshift.http")
T = TypeVar("T")


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; 0 = at any port that is free. Raises: InputError where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            "set CARBONSHIFT_HTTP_PORT to a free one (0 finds one), or CARBONSHIFT_HTTP_HOST to an address of its own",
        ) from error


def shown_url(listener: socket.socket) -> str:
    """Where to find what listens, for a person."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@asynccontextmanager
async def answering(
    listener: socket.socket, registry: CollectorRegistry, missing: Callable[[], Coroutine[Any, Any, list[str]]]
) -> AsyncIterator[None]:
    """Answer at `listener` about the event loop that runs here, for as long as the block.

    Args:
        listener: closed with the block.
        registry: shown at /metrics, even while the loop hangs.
        missing: asked in the loop: what the service still lacks before it can do its work.
    """
    loop = asyncio.get_running_loop()

    def ask(question: Coroutine[Any, Any, T]) -> T:
        asked: Future[T] = asyncio.run_coroutine_threadsafe(question, loop)
        try:
            return asked.result(LOOP_SECONDS)
        finally:
            asked.cancel()

    async def alive() -> Answer:  # the loop has to run it: that is the answer
        return ALIVE

    async def ready() -> Answer:
        return readiness(await missing())

    answers: Mapping[str, Callable[[str], Answer]] = {
        "/metrics": lambda accept: metrics(registry, accept),
        "/healthz": lambda _: ask(alive()),
        "/readyz": lambda _: ask(ready()),
    }
    server = _Server(listener, answers)
    thread = Thread(target=server.serve_forever, args=(LOOK_SECONDS,), name="http", daemon=True)
    thread.start()
    log.info(shown_url(listener))
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


class _Server(ThreadingHTTPServer):
    """A thread a request; what goes wrong in one is a line in the log."""

    def __init__(self, listener: socket.socket, answers: Mapping[str, Callable[[str], Answer]]) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.answers = answers

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked may have gone: nobody else is to be told."""
        del request
        log.debug("no answer to %s: %s", client_address, sys.exc_info()[1])


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "carbonshift", ""
    timeout = SLOW_CLIENT_SECONDS

    def do_GET(self) -> None:  # as the base class calls it
        answer = self._answer(urlsplit(self.path).path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _answer(self, path: str) -> Answer:
        find = self.server.answers.get(path)
        if find is None:
            return as_json(404, {"paths": list(self.server.answers)})
        try:
            return find(self.headers.get("Accept", ""))
        except TimeoutError:
            return readiness(["event loop"])
        except Exception:
            log.exception("%s cannot be answered", path)
            return as_json(500, {"status": "error"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        log.debug(format, *args)
