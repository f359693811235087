"""What the host that leads a pause has another do with its ranks, and how such messages are written and read."""

import dataclasses
import json
import logging
from dataclasses import dataclass
from typing import Any, TypeVar

from nats.aio.msg import Msg
from pydantic import TypeAdapter, ValidationError

from carbonshift.gpu_worker.local_ranks import Reading, Step
from carbonshift.gpu_worker.roster import Presence

__all__ = ["PRESENCE", "RANK_ORDER", "READING", "RankOrder", "read", "write"]

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankOrder:
    """Write this to your ranks, then say how far they are. The order that lets them go wants no answer."""

    leader: str
    """Its host."""
    attempt: int
    """Counts its pauses."""
    round: int
    """Counts its orders of this attempt: an older one that comes late does nothing."""
    ranks: tuple[int, ...]
    """That the leader counts on."""
    target: Step = 0
    """To stop at; 0 is none yet."""
    agreed: Step = 0
    """At which all ranks of the job wait; 0 before they do."""
    held: bool = False
    """All of them are quiet."""
    heard: int = 0
    """The last wish of the host that this order knew of."""
    released: bool = False
    """The attempt is over."""


def write(message: Any) -> bytes:
    """`message`, a dataclass, as JSON."""
    return json.dumps(dataclasses.asdict(message)).encode()


def read(kind: TypeAdapter[T], message: Msg) -> T | None:
    """What `write` wrote; None, and a line in the log, where it is nothing of the kind."""
    try:
        return kind.validate_json(message.data)
    except ValidationError as error:
        log.warning("%s is not understood: %s", message.subject, error.errors(include_url=False)[0]["msg"])
        return None


PRESENCE, RANK_ORDER, READING = TypeAdapter(Presence), TypeAdapter(RankOrder), TypeAdapter(Reading)
