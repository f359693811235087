"""The digest sheet: every figure and name that a digest may use, rounded as it is shown. Pure."""

from dataclasses import dataclass

from carbonshift.common.accounting import J_PER_KWH, J_PER_MWH
from carbonshift.explain.digest.ahead import Ahead, ahead_of
from carbonshift.explain.digest.happened import Drawn, Happened, drawn_in, happened_in
from carbonshift.explain.digest.heard import Heard
from carbonshift.explain.digest.idle import green_idle
from carbonshift.explain.digest.saved import Saved, saved_in
from carbonshift.explain.digest.slots import slots_of
from carbonshift.explain.figures import duration

__all__ = ["DigestSheet", "digest_sheet"]

G_PER_KG = 1_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSheet:
    """What is known of one span of one region."""

    region: str
    day: str | None
    """The local date; None where the span is no whole day."""
    start: str
    end: str
    zone: str
    happened: Happened
    drawn: Drawn | None
    """None where no energy was metered: then nothing is said of savings."""
    cost: Saved | None
    """None where no energy has a price."""
    carbon: Saved | None
    """None where no energy has a carbon intensity."""
    green_idle: str | None
    """How long it was GREEN and no job is known to have run; None where that is nothing, or nothing was metered."""
    ahead: Ahead | None
    """None where there is no forecast that is new enough."""
    replay: str | None
    """The run it belongs to; None on the live grid."""

    def facts(self) -> dict[str, float | str | None]:
        """All of it by name, flat, for the event and for whoever checks a text against it."""
        return {
            "region": self.region,
            "day": self.day,
            "from": self.start,
            "to": self.end,
            "time_zone": self.zone,
            **self.happened.facts(),
            **(self.drawn.facts() if self.drawn else {}),
            **(self.cost.facts("cost", "usd", "usd_per_mwh") if self.cost else {}),
            **(self.carbon.facts("carbon", "kg", "g_per_kwh") if self.carbon else {}),
            "green_idle": self.green_idle,
            **(self.ahead.facts() if self.ahead else {}),
            "savings_basis": "modelled" if self.cost or self.carbon else None,
            "replay": self.replay,
        }


def digest_sheet(heard: Heard) -> DigestSheet:
    """The facts of a span, out of what was heard of it and out of nothing else."""
    span, slots = heard.span, slots_of(heard)
    idle = green_idle(heard) if heard.draws else None
    return DigestSheet(
        region=heard.region,
        day=span.day.isoformat() if span.day else None,
        start=span.said(span.start),
        end=span.said(span.end),
        zone=span.zone,
        happened=happened_in(heard, slots),
        drawn=drawn_in(heard),
        cost=saved_in(slots, span, lambda slot: slot.price_usd_per_mwh, J_PER_MWH),
        carbon=saved_in(slots, span, lambda slot: slot.carbon_g_per_kwh, J_PER_KWH * G_PER_KG),
        green_idle=duration(idle) if idle else None,
        ahead=ahead_of(span, heard.forecast),
        replay=heard.run,
    )
