"""The API of a language model on loopback: it answers what a test tells it to, with the faults of a real one."""

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

__all__ = ["LlmServer", "Play", "completion", "message"]


@dataclass(frozen=True)
class Play:
    """One answer."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Promises more of the body than it sends."""
    hang: bool = False
    """Says nothing until the server is left."""
    meanwhile: Callable[[], None] = lambda: None
    """What happens before it is sent."""


def completion(text, *, finish_reason="stop", refusal=None, usage=(1_000, 400), **more) -> Play:
    """A completion as an OpenAI-compatible API sends it."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": "gpt-4.1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
        "usage": usage and {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }
    return Play(json.dumps(body | more).encode())


def message(text, *, stop_reason="end_turn", usage=(1_000, 400), **more) -> Play:
    """A message as the Messages API of Claude sends it."""
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [{"type": "thinking", "thinking": "", "signature": "s"}, {"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage and {"input_tokens": usage[0], "output_tokens": usage[1]},
    }
    return Play(json.dumps(body | more).encode())


class LlmServer:
    """Between `__enter__` and `__exit__` it serves what `play` was told, in that order, the last one for good."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.keys: list[str] = []
        self.encodings: list[str] = []
        self._plays: deque[Play] = deque()
        self._left = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                server.asked.append({"path": self.path} | json.loads(body))
                server.keys.append(self.headers["authorization"])
                server.encodings.append(self.headers["accept-encoding"])
                play = server._plays.popleft() if len(server._plays) > 1 else server._plays[0]
                play.meanwhile()
                if play.hang:
                    server._left.wait()
                    return
                self.send_response(play.status)
                headers = {"content-type": "application/json"} | play.headers
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(play.body) + (10 if play.cut else 0)))
                self.end_headers()
                self.wfile.write(play.body)

            def log_message(self, *_):
                """Not on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def play(self, *plays: Play) -> None:
        self._plays = deque(plays)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
