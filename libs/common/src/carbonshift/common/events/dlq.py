"""What could not be processed, kept with its error."""

import base64
from datetime import UTC, datetime
from typing import ClassVar

from nats.aio.msg import Msg
from pydantic import NonNegativeInt

from carbonshift.common.events.base import Event, Instant, Name

__all__ = ["DeadLetter"]


LONGEST_PAYLOAD_BYTES = 256 << 10
"""The letter must stay below the server's 1 MB, base64 and headers included."""
LONGEST_ERROR = 4_000


class DeadLetter(Event):
    """A message that a service gave up on, as it came, and why."""

    kind: ClassVar[str] = "dlq"
    stream: ClassVar[str] = "DLQ"
    address: ClassVar[str] = "dlq.{service}"

    service: Name
    source_subject: str
    source_stream: str
    """Empty for a message that no stream holds."""
    source_sequence: NonNegativeInt
    deliveries: NonNegativeInt
    error: str
    """Type and text of the error."""
    headers: dict[str, str]
    payload_base64: str
    """The message's bytes: they need not be JSON, nor text; of a very long one the beginning."""
    payload_bytes: NonNegativeInt
    """Length of the whole message."""
    failed_at: Instant

    @classmethod
    def of(cls, message: Msg, error: Exception, service: str) -> "DeadLetter":
        """The letter about `message`, which `service` gave up on because of `error`."""
        metadata = message.metadata if message.reply.startswith("$JS.ACK.") else None
        return cls(
            service=service,
            source_subject=message.subject,
            source_stream=metadata.stream if metadata else "",
            source_sequence=metadata.sequence.stream if metadata else 0,
            deliveries=metadata.num_delivered if metadata else 1,
            error=f"{type(error).__name__}: {error}"[:LONGEST_ERROR],
            headers=dict(message.headers or {}),
            payload_base64=base64.b64encode(message.data[:LONGEST_PAYLOAD_BYTES]).decode("ascii"),
            payload_bytes=len(message.data),
            failed_at=datetime.now(UTC),
        )

    @property
    def id(self) -> str:
        if self.source_stream:
            return f"dlq:{self.service}:{self.source_stream}:{self.source_sequence}"
        return f"dlq:{self.service}:{self.source_subject}:{self.failed_at.timestamp()}"

    @property
    def time(self) -> datetime:
        return self.failed_at
