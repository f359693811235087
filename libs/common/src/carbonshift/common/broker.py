"""A service's connection to the broker: endless reconnection, delayed retries, dead letters, confirmed publishing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, cast

from faststream import BaseMiddleware
from faststream.exceptions import AckMessage, NackMessage, RejectMessage, SkipMessage
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionReconnectingError
from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry

from carbonshift.common.errors import TransientError
from carbonshift.common.events import DeadLetter, Event, headers
from carbonshift.common.message_metrics import MessageMetrics
from carbonshift.common.outage import is_outage
from carbonshift.common.settings import Settings
from carbonshift.common.streams import MAX_DELIVER, stream_name, stream_of

__all__ = ["Outlet", "connect"]

REDELIVERY_DELAYS_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
PUBLISH_RETRY_SECONDS = 20.0
"""A leader's death stops publishing for about 5 s."""
ANSWER_SECONDS = 2
"""A server that is silent for so long as a service stops is not waited for: draining would take 20 s and fail."""


class _LeavingBroker(NatsBroker):
    """Drains its connection where the server answers, else closes it."""

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        connection = self._connection
        if connection is not None and not await _answers(connection):
            self._connection = None  # so that it is not drained
        with suppress(ConnectionReconnectingError):  # it was there a moment ago
            await super().stop(exc_type, exc_val, exc_tb)
        if connection is not None and not connection.is_closed and not connection.is_draining:
            await connection.close()


def connect(settings: Settings, registry: CollectorRegistry, *, no_echo: bool = False) -> NatsBroker:
    """The broker of one service, not yet started; what becomes of its messages is counted in `registry`.

    A TransientError in a handler is redelivered with a growing delay, at most MAX_DELIVER times; any other
    error puts the message on `<prefix>.dlq.<service>` at once and the service goes on. With `no_echo` a core
    subscription does not hear what this connection itself publishes.
    """
    logger = logging.getLogger(f"carbonshift.{settings.service}")
    logger.setLevel(settings.log_level)

    async def on_error(error: Exception) -> None:
        logger.warning("broker: %s", error or type(error).__name__)

    broker = _LeavingBroker(
        settings.servers(),
        name=f"carbonshift-{settings.service}",
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        error_cb=on_error,
        no_echo=no_echo,
        logger=logger,
        log_level=logging.DEBUG,
        graceful_timeout=10.0,
    )
    metrics = MessageMetrics(registry, settings)
    broker.add_middleware(_dead_letters(broker, settings, logger, metrics))
    if settings.http_port is not None:  # else nobody can ask for them, and they cost each message up to 0.1 ms
        broker.add_middleware(metrics.middleware)  # within the other, which turns errors into what they come to
    return broker


class Outlet:
    """Publishes a service's own events, each on its subject, with its id, confirmed by its stream."""

    def __init__(self, broker: NatsBroker, settings: Settings, *kinds: type[Event]) -> None:
        self._settings = settings
        self._publishers = {
            kind: broker.publisher(
                kind.subjects(settings.subject_prefix),
                stream=stream_of(kind, settings.subject_prefix),
                schema=kind,
                title=kind.__name__,
                timeout=2.0,
            )
            for kind in kinds
        }
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, heard: Callable[[Event], None]) -> None:
        """Have `heard` called with each event that has been stored."""
        self._listeners.append(heard)

    async def publish(self, event: Event) -> None:
        """Store `event`; repeats itself under the same id for 20 s while the broker is away.

        Raises: TransientError when it stays away.
        """
        publisher = self._publishers[type(event)]
        subject = event.subject(self._settings.subject_prefix)
        message_headers = headers(event, self._settings.service)

        async def once() -> None:
            await publisher.publish(event, subject, headers=message_headers, correlation_id=event.id)

        await _through_outages(once, f"{subject} was not stored")
        for heard in self._listeners:
            heard(event)


async def _answers(connection: Client) -> bool:
    try:
        await connection.flush(timeout=ANSWER_SECONDS)
    except (NatsError, OSError):
        return False
    return True


async def _through_outages(call: Callable[[], Awaitable[None]], problem: str) -> None:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + PUBLISH_RETRY_SECONDS
    while True:
        try:
            return await call()
        except Exception as error:
            if not is_outage(error):
                raise
            if loop.time() >= give_up:
                raise TransientError(f"{problem}: {error or type(error).__name__}", "is the broker up?") from error
            await asyncio.sleep(0.25)


def _dead_letters(
    broker: NatsBroker, settings: Settings, logger: logging.Logger, metrics: MessageMetrics
) -> type[BaseMiddleware]:
    """The middleware that decides what becomes of a message whose handler failed."""

    class DeadLetters(BaseMiddleware):
        async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
            try:
                return await call_next(msg)
            except (AckMessage, NackMessage, RejectMessage, SkipMessage):
                raise
            except Exception as error:
                raw = cast("Msg", msg.raw_message)
                stored = raw.reply.startswith("$JS.ACK.")
                deliveries = raw.metadata.num_delivered if stored else MAX_DELIVER
                if (isinstance(error, TransientError) or is_outage(error)) and deliveries < MAX_DELIVER:
                    delay = REDELIVERY_DELAYS_SECONDS[min(deliveries, len(REDELIVERY_DELAYS_SECONDS)) - 1]
                    logger.warning("%s: %s; again in %g s", raw.subject, error, delay)
                    raise NackMessage(delay=delay) from error
                logger.exception("%s: given up, see the dlq", raw.subject)
                await self._bury(raw, error)
                raise RejectMessage from error

        async def _bury(self, raw: Msg, error: Exception) -> None:
            letter = DeadLetter.of(raw, error, settings.service)

            async def once() -> None:
                await broker.publish(
                    letter,
                    letter.subject(settings.subject_prefix),
                    headers=headers(letter, settings.service),
                    stream=stream_name(DeadLetter.stream, settings.subject_prefix),
                )

            await _through_outages(once, "a dead letter was not stored")
            metrics.buried(raw.subject)

    return DeadLetters
