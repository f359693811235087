"""Events about a site's watts: permission to take more, and an order to take less."""

from datetime import datetime
from typing import ClassVar

from pydantic import NonNegativeInt, PositiveFloat

from carbonshift.common.events.base import Event, Instant, Name, stamp
from carbonshift.common.events.replay import Replay, mark

__all__ = ["PowerTarget", "ResumeToken"]


class ResumeToken(Event):
    """Permission to raise a site's draw by `watts`, once, within its own span of event time."""

    kind: ClassVar[str] = "token"
    stream: ClassVar[str] = "TOKENS"
    address: ClassVar[str] = "token.{site}"

    site: Name
    slot: NonNegativeInt
    """Number of the ramp slot it belongs to: slots do not overlap, and each gives one token."""
    watts: PositiveFloat
    not_before: Instant
    expires_at: Instant
    epoch: NonNegativeInt
    """The `epoch` of the state it was issued under; void under any other."""
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"token:{self.site}:{self.epoch}:{self.slot}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.not_before


class PowerTarget(Event):
    """Somebody outside asks a site to stay under a ceiling for a time."""

    kind: ClassVar[str] = "target"
    stream: ClassVar[str] = "TARGETS"
    address: ClassVar[str] = "target.{site}"

    site: Name
    limit_w: PositiveFloat
    start: Instant
    end: Instant
    requested_by: str

    @property
    def id(self) -> str:
        return f"target:{self.site}:{stamp(self.start)}:{stamp(self.end)}:{self.limit_w:g}:{self.requested_by}"

    @property
    def time(self) -> datetime:
        return self.start
