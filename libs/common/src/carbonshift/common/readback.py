"""Reads events back out of a stream, as far as it holds them now."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TypeVar

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from carbonshift.common.events import Event

__all__ = ["events_of"]

READ_TIMEOUT_SECONDS = 10.0
E = TypeVar("E", bound=Event)


async def events_of(
    jetstream: JetStreamContext,
    kind: type[E],
    stream: str,
    subject: str,
    deliver: DeliverPolicy,
    opt_start_seq: int | None = None,
    opt_start_time: datetime | None = None,
) -> AsyncIterator[tuple[Msg, E]]:
    """What the stream holds now on `subject`, from where `deliver` says; what is no valid event lies in the dlq."""
    subscription = await jetstream.subscribe(
        subject,
        stream=stream,
        ordered_consumer=True,
        config=ConsumerConfig(
            deliver_policy=deliver,
            opt_start_seq=opt_start_seq,
            opt_start_time=opt_start_time.isoformat() if opt_start_time else None,  # type: ignore[arg-type]
        ),
    )
    try:
        consumer = await subscription.consumer_info()
        delivered = consumer.delivered.consumer_seq if consumer.delivered else 0
        pending = (consumer.num_pending or 0) + delivered  # it may have begun to deliver by now
        while pending:
            message = await subscription.next_msg(timeout=READ_TIMEOUT_SECONDS)
            pending = message.metadata.num_pending
            try:
                event = kind.model_validate_json(message.data)
            except ValidationError:
                continue
            yield message, event
    finally:
        await subscription.unsubscribe()
