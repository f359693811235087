"""Events about a site's watts: permission to take more, an order to take less, and how much less there could be."""

from datetime import datetime
from typing import ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from carbonshift.common.events.base import Event, Instant, Name, stamp
from carbonshift.common.events.replay import Replay, mark
from carbonshift.common.events.shown import Shown

__all__ = ["Flexibility", "PowerTarget", "ResumeToken", "Shed"]


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
    requested_by: Shown

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.end <= self.start:
            raise ValueError("a target has to end after it starts")
        return self

    @property
    def id(self) -> str:
        return f"target:{self.site}:{stamp(self.start)}:{stamp(self.end)}:{self.limit_w!r}:{self.requested_by}"

    @property
    def time(self) -> datetime:
        return self.start


class Shed(BaseModel):
    """An offer to draw less for a time."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)

    seconds: PositiveInt
    """For how long."""
    watts: NonNegativeFloat
    """By how much all that time: what the jobs that can wait so long may draw now, less what they draw parked."""
    cost_usd: float | None
    """What waiting costs them, estimated: parked draw, the switches, dearer hours later, carbon at its price and the
    value of their GPU-hours; null where no price is known."""
    jobs: NonNegativeInt
    """How many would wait."""


class Flexibility(Event):
    """How many watts a site could shed from now on, for how long, and what it would cost."""

    kind: ClassVar[str] = "flex"
    stream: ClassVar[str] = "TARGETS"
    address: ClassVar[str] = "flex.{site}"

    site: Name
    region: Name
    interval_start: Instant
    committed_w: NonNegativeFloat
    """What the devices of the site in this region may draw at most as it stands."""
    sheds: tuple[Shed, ...] = Field(min_length=1)
    """The shortest first. They exclude one another."""
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"flex:{self.site}:{self.region}:{stamp(self.interval_start)}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.interval_start
