"""What a stream holds last of a region. Shell."""

from typing import TypeVar

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from carbonshift.common.events import Event
from carbonshift.common.streams import stream_name

__all__ = ["last_stored"]

E = TypeVar("E", bound=Event)


async def last_stored(jetstream: JetStreamContext, prefix: str, kind: type[E], region: str) -> E | None:
    """The event of that kind; None where there is none that can be read."""
    subject = f"{prefix}.{kind.address.format(region=region)}"
    try:
        message = await jetstream.get_last_msg(stream_name(kind.stream, prefix), subject)
        return kind.model_validate_json(message.data or b"")
    except (NotFoundError, ValidationError):
        return None
