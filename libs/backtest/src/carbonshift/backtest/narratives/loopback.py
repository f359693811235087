"""Shell: the Messages API on loopback, played by whoever is given, so that all that asks it is asked as it is."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["messages_api"]

BYTES_A_TOKEN = 4
"""What is billed: so many bytes are a token."""


@contextmanager
def messages_api(answer: Callable[[str], str]) -> Iterator[str]:
    """Its base URL; until the end each user's message is answered by what `answer` makes of it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["content-length"]))
            user = json.loads(asked)["messages"][0]["content"]
            body = json.dumps(_message(answer(user), len(asked))).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
            """Not on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _message(text: str, asked_bytes: int) -> dict[str, Any]:
    return {
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "model": "stand-in",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": asked_bytes // BYTES_A_TOKEN,
            "output_tokens": len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN,
        },
    }
