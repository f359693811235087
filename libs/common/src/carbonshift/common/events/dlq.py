"""What could not be processed, kept with its error."""

from datetime import datetime
from typing import ClassVar

from pydantic import NonNegativeInt

from carbonshift.common.events.base import Event, Instant, Name

__all__ = ["DeadLetter"]


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
    """The message's bytes: they need not be JSON, nor text."""
    failed_at: Instant

    @property
    def id(self) -> str:
        if self.source_stream:
            return f"dlq:{self.service}:{self.source_stream}:{self.source_sequence}"
        return f"dlq:{self.service}:{self.source_subject}:{self.failed_at.timestamp()}"

    @property
    def time(self) -> datetime:
        return self.failed_at
