"""What every event shares: frozen JSON, a subject it owns, an id that a repeat has too."""

import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

__all__ = ["NAME", "Event", "Instant", "Name", "headers", "rfc3339", "stamp"]

Instant = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
"""A moment with its zone, kept in UTC; written as RFC 3339 with `Z`."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
Name = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")]
"""One token of a subject: a region, a site, a job, a worker. No dot, no space, no wildcard."""


def rfc3339(moment: datetime) -> str:
    """`moment` in UTC with `Z`, to the microsecond where it has one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def stamp(moment: datetime) -> int:
    """Unix second of an interval's start, for ids."""
    return int(moment.timestamp())


class Event(BaseModel):
    """Base of all events. Unknown fields are ignored on reading and never produced."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)

    kind: ClassVar[str]
    """First token of the subject after the prefix, and last part of `ce-type`."""
    stream: ClassVar[str]
    """Which of the streams in `carbonshift.common.streams` stores it."""
    address: ClassVar[str]
    """The subject after the prefix, with the event's own fields in braces: `tick.{region}`."""

    @classmethod
    def subjects(cls, prefix: str) -> str:
        """The wildcard subject on which every event of this type arrives."""
        tokens = ("*" if token.startswith("{") else token for token in cls.address.split("."))
        return ".".join((prefix, *tokens))

    def subject(self, prefix: str) -> str:
        """The subject this very event is published on."""
        return f"{prefix}.{self.address.format(**{name: getattr(self, name) for name in type(self).model_fields})}"

    @property
    def id(self) -> str:
        """Deterministic: a retry, a restart or a redelivery makes the same one. Unique within a stream."""
        raise NotImplementedError

    @property
    def time(self) -> datetime:
        """The moment the event speaks of, in event time."""
        raise NotImplementedError


def headers(event: Event, service: str) -> dict[str, str]:
    """The NATS headers of `event`: its id for deduplication, and the CloudEvents 1.0 attributes.

    Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md
    """
    return {
        "Nats-Msg-Id": event.id,
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-type": f"carbonshift.{event.kind}",
        "ce-source": f"carbonshift/{service}",
        "ce-time": rfc3339(event.time),
    }
