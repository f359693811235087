"""The fact sheet of a transition: every figure and name that a narrative may use, rounded as it is shown. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from carbonshift.common.events import CarbonBasis, GridTransition, Pulse
from carbonshift.explain.figures import duration, rounded
from carbonshift.explain.move import move_to

__all__ = ["FactSheet", "Signal", "fact_sheet"]

LIMITS_BY_REASON: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "price_critical": ("critical_price_usd_per_mwh",),
        "carbon_critical": ("critical_carbon_g_per_kwh",),
        "price_above_optimal": ("optimal_price_usd_per_mwh",),
        "carbon_above_optimal": ("optimal_carbon_g_per_kwh",),
        "score_high": ("red_score",),
        "score_low": ("green_score",),
        "score_middle": ("green_score", "red_score"),
        "hysteresis": ("hysteresis_score",),
        "dwell": ("dwell_seconds",),
    }
)
"""Which of the thresholds each reason has to do with."""
LEAST_PRICE_MOVE_USD_PER_MWH = 1.0
LEAST_CARBON_MOVE_G_PER_KWH = 5.0
LEAST_MOVE_SHARE = 0.05
"""Less than this share of the value is no move worth a word either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Price (USD/MWh) or carbon (g/kWh): what it is and where it came from."""

    value: float | None
    before: float | None = None
    """None where it has not moved to speak of."""
    moved_within: str | None = None
    """As it is said: `10 minutes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSheet:
    """What is known of one transition."""

    region: str
    state: Pulse
    previous: Pulse | None
    """None for the first state of a region."""
    previous_lasted: str | None
    """As it is said: `3 h 20 min`."""
    date_utc: str
    since_utc: str
    """Start of the interval in which the state began, `18:05`."""
    reasons: tuple[str, ...]
    """Codes, the weightiest first."""
    price: Signal
    carbon: Signal
    carbon_basis: CarbonBasis
    score: float | None
    limits: Mapping[str, float]
    """The thresholds that the reasons speak of, by name; in the figures' own rounding."""
    dwell: str | None
    """The dwell as it is said, where it is a reason."""
    run: bool
    power_limit_w: float
    """For the reference board."""
    replay: str | None
    """The run it belongs to; None on the live grid."""

    def facts(self) -> dict[str, float | str | None]:
        """All of it by name, flat, for the event and for whoever checks a text against it."""
        return {
            "region": self.region,
            "state": self.state.value,
            "previous": self.previous.value if self.previous else None,
            "previous_lasted": self.previous_lasted,
            "date_utc": self.date_utc,
            "since_utc": self.since_utc,
            "reasons": ", ".join(self.reasons),
            "price_usd_per_mwh": self.price.value,
            "price_before_usd_per_mwh": self.price.before,
            "price_moved_within": self.price.moved_within,
            "carbon_g_per_kwh": self.carbon.value,
            "carbon_before_g_per_kwh": self.carbon.before,
            "carbon_moved_within": self.carbon.moved_within,
            "carbon_basis": self.carbon_basis.value,
            "score": self.score,
            **self.limits,
            "dwell": self.dwell,
            "training": "may run" if self.run else "paused",
            "power_limit_w": self.power_limit_w,
            "replay": self.replay,
        }


def fact_sheet(transition: GridTransition) -> FactSheet:
    """The facts of `transition`; a reason that is not known here is kept and has no limit."""
    state, given = transition.state, transition.facts
    names = [name for reason in state.reasons for name in LIMITS_BY_REASON.get(reason, ())]
    limits = {name: given.thresholds[name] for name in names if name in given.thresholds}
    price, price_limits = _signal(
        given.price_usd_per_mwh,
        state.interval_start,
        given.recent_interval_starts,
        given.recent_prices_usd_per_mwh,
        LEAST_PRICE_MOVE_USD_PER_MWH,
        {name: limit for name, limit in limits.items() if name.endswith("usd_per_mwh")},
    )
    carbon, carbon_limits = _signal(
        given.carbon_g_per_kwh,
        state.interval_start,
        given.recent_interval_starts,
        given.recent_carbon_g_per_kwh,
        LEAST_CARBON_MOVE_G_PER_KWH,
        {name: limit for name, limit in limits.items() if name.endswith("g_per_kwh")},
    )
    dwell_seconds = limits.get("dwell_seconds")
    since = transition.previous_since
    return FactSheet(
        region=transition.region,
        state=state.state,
        previous=transition.previous,
        previous_lasted=duration(state.since - since) if transition.previous and since else None,
        date_utc=f"{state.since:%Y-%m-%d}",
        since_utc=f"{state.since:%H:%M}",
        reasons=state.reasons,
        price=price,
        carbon=carbon,
        carbon_basis=given.carbon_basis,
        score=None if state.score is None else round(state.score, 2),
        limits={name: round(limit, 2) for name, limit in limits.items()} | price_limits | carbon_limits,
        dwell=None if dwell_seconds is None else duration(timedelta(seconds=dwell_seconds)),
        run=state.run,
        power_limit_w=rounded(state.power_limit_w)[0],
        replay=state.replay.run if state.replay else None,
    )


def _signal(
    value: float | None,
    at: datetime,
    starts: tuple[datetime, ...],
    values: tuple[float | None, ...],
    least: float,
    limits: Mapping[str, float],
) -> tuple[Signal, dict[str, float]]:
    """The signal and its limits, rounded together: what is above a limit must not be shown as equal to it."""
    if value is None:
        return Signal(value=None), dict(zip(limits, rounded(*limits.values()), strict=True))
    move = move_to(value, at, starts, values, max(least, LEAST_MOVE_SHARE * abs(value)))
    shown, *shown_limits = rounded(value, *limits.values(), *([move.before] if move else []))
    before = shown_limits.pop() if move else None
    moved_within = duration(move.took) if move else None
    return Signal(value=shown, before=before, moved_within=moved_within), dict(zip(limits, shown_limits, strict=True))
