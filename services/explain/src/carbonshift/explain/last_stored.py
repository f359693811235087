"""What a stream holds last of a region, or of one run in it. Shell."""

from datetime import datetime
from typing import TypeVar

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from carbonshift.common.events import Event, GridForecast, Replay
from carbonshift.common.streams import stream_name

__all__ = ["forecast_of_run", "last_stored"]

READ_TIMEOUT_SECONDS = 2.0

E = TypeVar("E", bound=Event)


async def last_stored(jetstream: JetStreamContext, prefix: str, kind: type[E], region: str) -> E | None:
    """The event of that kind; None where there is none that can be read."""
    subject = f"{prefix}.{kind.address.format(region=region)}"
    try:
        message = await jetstream.get_last_msg(stream_name(kind.stream, prefix), subject)
        return kind.model_validate_json(message.data or b"")
    except (NotFoundError, ValidationError):
        return None


async def forecast_of_run(
    jetstream: JetStreamContext, prefix: str, region: str, replay: Replay | None, since: datetime
) -> GridForecast | None:
    """The last forecast of a region's live grid or replay, whatever is stored of others beside it.

    Read are the ids of what was stored `since`, and that one forecast: forecasts are large, and a fast replay has many.
    """
    last = await last_stored(jetstream, prefix, GridForecast, region)
    run = replay.run if replay else None
    if last is not None and (last.replay.run if last.replay else None) == run:
        return last
    stream = stream_name(GridForecast.stream, prefix)
    sequence = await _last_of(run, jetstream, stream, f"{prefix}.{GridForecast.address.format(region=region)}", since)
    try:
        message = await jetstream.get_msg(stream, sequence) if sequence else None
        return GridForecast.model_validate_json(message.data or b"") if message else None
    except (NotFoundError, ValidationError):
        return None


async def _last_of(
    run: str | None, jetstream: JetStreamContext, stream: str, subject: str, since: datetime
) -> int | None:
    """The sequence number of the last message whose id is of that run: `forecast:<region>:<origin>[:<run>]`."""
    subscription = await jetstream.subscribe(
        subject,
        stream=stream,
        ordered_consumer=True,
        config=ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=since.isoformat(),  # type: ignore[arg-type]
            headers_only=True,
        ),
    )
    found = None
    try:
        consumer = await subscription.consumer_info()
        delivered = consumer.delivered.consumer_seq if consumer.delivered else 0
        pending = (consumer.num_pending or 0) + delivered  # it may have begun to deliver by now
        while pending:
            message = await subscription.next_msg(timeout=READ_TIMEOUT_SECONDS)
            pending = message.metadata.num_pending
            kind, _, name = (message.headers or {}).get("Nats-Msg-Id", "").partition(":")
            if kind == GridForecast.kind and name.split(":")[2:] == ([run] if run else []):
                found = message.metadata.sequence.stream
    finally:
        await subscription.unsubscribe()
    return found
