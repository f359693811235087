"""What the stream says was told last of a region. Shell."""

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from carbonshift.common.events import GridTransition, Narrative
from carbonshift.common.streams import stream_name

__all__ = ["is_told"]


async def is_told(transition: GridTransition, jetstream: JetStreamContext, prefix: str) -> bool:
    """Whether the last narrative of its region is of `transition`: transitions come in order, one at a time."""
    subject = f"{prefix}.{Narrative.address.format(region=transition.region)}"
    try:
        last = await jetstream.get_last_msg(stream_name(Narrative.stream, prefix), subject)
        return Narrative.model_validate_json(last.data or b"").transition_id == transition.id
    except (NotFoundError, ValidationError):
        return False
