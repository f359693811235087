"""How a process tells what happens: lines of text, or an object of JSON a line, without the secrets it was given.

What is bound in structlog's context, `structlog.contextvars.bind_contextvars(trace_id=...)`, stands in every object.
"""

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict

from carbonshift.common.settings import Settings

__all__ = ["set_up_logs"]

SHORTEST_SECRET = 4
"""Anything shorter stands in too many words to be told apart from them."""
LOUD = ("faststream", "uvicorn", "uvicorn.error", "uvicorn.access")
"""They bring handlers of their own."""


def set_up_logs(settings: Settings) -> None:
    """Have every logger of this process write to stderr, in the format of `settings`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacted(_formatter(settings), list(_secrets(settings))))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in LOUD:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    if settings.log_format == "json":
        sys.excepthook = _log_the_end


def _formatter(settings: Settings) -> logging.Formatter:
    if settings.log_format == "text":
        return logging.Formatter(f"%(asctime)s {settings.service} %(levelname)s %(message)s")

    def fields(_logger: Any, _method: str, event: EventDict) -> EventDict:
        record: logging.LogRecord = event["_record"]
        own = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "service": settings.service,
            "message": event.pop("event"),
        }
        return own | {f"{name}_" if name in own else name: value for name, value in event.items()}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.processors.format_exc_info,
            fields,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )


class _Redacted(logging.Formatter):
    """What `formatter` makes of a record, without secrets."""

    def __init__(self, formatter: logging.Formatter, secrets: list[str]) -> None:
        super().__init__()
        self._formatter = formatter
        self._secrets = sorted({*secrets, *(json.dumps(secret)[1:-1] for secret in secrets)}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        line = self._formatter.format(record)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line


def _secrets(settings: Settings) -> Iterator[str]:
    """What must not be told: what the settings mark so, and passwords in addresses of the broker."""
    told = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    for url in (settings.nats_url or "").split(","):
        user, separator, password = urlsplit(url.strip()).netloc.rpartition("@")[0].partition(":")
        told += [password, unquote(password)] if separator else [user, unquote(user)]  # without one it is a token
    yield from (secret for secret in told if len(secret) >= SHORTEST_SECRET)


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("carbonshift").critical("the process ends: %s", error, exc_info=(kind, error, trace))
