"""What a service answers when it is asked how it is, whichever server carries the answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

__all__ = ["ALIVE", "Answer", "as_json", "metrics", "readiness"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status with its content."""

    status: int
    content_type: str
    body: bytes


def as_json(status: int, content: Any) -> Answer:
    """`content` as JSON."""
    return Answer(status, "application/json", json.dumps(content).encode())


ALIVE = as_json(200, {"status": "alive"})


def readiness(missing: Sequence[str]) -> Answer:
    """200 where nothing is missing, else 503 naming what is."""
    if missing:
        return as_json(503, {"status": "not ready", "missing": list(missing)})
    return as_json(200, {"status": "ready"})


def metrics(registry: CollectorRegistry, accept: str) -> Answer:
    """Everything in `registry`, in the format that the header `accept` prefers."""
    encode, content_type = choose_encoder(accept)
    return Answer(200, content_type, encode(registry))
