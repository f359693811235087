"""Small tapes for tests of ingest, in the shapes that matter, and a real HTTP server for its providers."""

import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn

from carbonshift.common.tape import Sidecar, TapeRow, open_tape, write_tape

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def make_tape(tmp_path):
    """Writes and opens a tape: `make_tape([(price, carbon), ...], region=..., ...)`."""

    def make(pairs, name="tape.csv", start=START, step_seconds=300, **sidecar):
        path = tmp_path / name
        rows = (TapeRow(start + timedelta(seconds=step_seconds * n), *pair) for n, pair in enumerate(pairs))
        write_tape(path, rows, Sidecar(**{"region": "caiso", "step_seconds": step_seconds} | sidecar))
        return open_tape(path)

    return make


@pytest.fixture(scope="session")
def serve():
    """Serves an ASGI application on a free port: `with serve(app) as url: ...`."""

    @contextmanager
    def on_loopback(app):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join()

    return on_loopback
