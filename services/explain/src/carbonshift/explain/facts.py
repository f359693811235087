"""The fact sheet of a transition: every figure and name that a narrative may use, rounded as it is shown. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from carbonshift.common.events import CarbonBasis, GridTransition, Pulse, TransitionFacts
from carbonshift.explain.expected import Expected
from carbonshift.explain.figures import duration, rounded
from carbonshift.explain.fleet import FleetAnswer
from carbonshift.explain.fuel_shift import FuelShift
from carbonshift.explain.move import move_to
from carbonshift.explain.norms import norms_of

__all__ = ["FactSheet", "FleetFacts", "Next", "Signal", "Surroundings", "fact_sheet"]

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
FLAPPING = 3
NO_CODE = re.compile(r"[^a-z0-9_]+")
LONGEST_CODE = 60
DAY = timedelta(days=1)
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
    steady: bool = False
    """It has a past and has not moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known around a transition beyond what it says itself."""

    expected: Expected | None = None
    fleet: FleetAnswer | None = None
    fuels: tuple[FuelShift, ...] = ()
    changes_last_hour: int = 1
    """Of the region's state, this one among them."""


ALONE = Surroundings()
UTC_CLOCK = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The change to come by the forecast, each moment as it is said: `20:00`, `06:30 tomorrow`."""

    horizon: str
    """How far the forecast looks, as it is said."""
    state: Pulse | None
    """None: no change within the horizon at p50."""
    p50: str | None = None
    p10: str | None = None
    """None: not within the horizon."""
    p90: str | None = None
    price_usd_per_mwh: float | None = None
    """p50 of the interval in which it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFacts:
    """What the fleet has done so far, in whole watts."""

    before_w: float
    now_w: float
    change_w: float
    """Without its sign."""
    basis: str
    paused: int
    resumed: int
    tokens: int
    tokens_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSheet:
    """What is known of one transition."""

    region: str
    state: Pulse
    previous: Pulse | None
    """None for the first state of a region."""
    previous_lasted: str | None
    """As it is said: `3 h 20 min`."""
    zone: str
    """Name of the clock that all times are told by: `UTC`, `PST`."""
    date: str
    since: str
    """Start of the interval in which the state began, `18:05`."""
    reasons: tuple[str, ...]
    """Codes, the weightiest first; of one that is none only its plain characters."""
    price: Signal
    carbon: Signal
    carbon_basis: CarbonBasis
    score: float | None
    score_before: float | None
    """Of the interval before, between the same trailing quantiles."""
    limits: Mapping[str, float]
    """The thresholds that the reasons speak of, by name; in the figures' own rounding."""
    dwell: str | None
    """The dwell as it is said, where it is a reason."""
    run: bool
    power_limit_w: float
    """For the reference board."""
    replay: str | None
    """The run it belongs to; None on the live grid."""
    changes_last_hour: int | None
    """None where it is no more than two."""
    next: Next | None
    fleet: FleetFacts | None
    fuels: tuple[FuelShift, ...]

    def facts(self) -> dict[str, float | str | None]:
        """All of it by name, flat, for the event and for whoever checks a text against it."""
        return {
            "region": self.region,
            "state": self.state.value,
            "previous": self.previous.value if self.previous else None,
            "previous_lasted": self.previous_lasted,
            "clock": self.zone,
            "date": self.date,
            "since": self.since,
            "reasons": ", ".join(self.reasons),
            "price_usd_per_mwh": self.price.value,
            "price_before_usd_per_mwh": self.price.before,
            "price_moved_within": self.price.moved_within,
            "carbon_g_per_kwh": self.carbon.value,
            "carbon_before_g_per_kwh": self.carbon.before,
            "carbon_moved_within": self.carbon.moved_within,
            "carbon_basis": self.carbon_basis.value,
            "score": self.score,
            "score_before": self.score_before,
            **self.limits,
            "dwell": self.dwell,
            "training": "may run" if self.run else "paused",
            "power_limit_w": self.power_limit_w,
            "replay": self.replay,
            "changes_last_hour": self.changes_last_hour,
            **self._next_facts(),
            **self._fleet_facts(),
            **{
                f"{shift.fuel.value}_{name}": value
                for shift in self.fuels
                for name, value in (
                    ("before_percent", float(shift.before_percent)),
                    ("percent", float(shift.now_percent)),
                    ("moved_within", duration(shift.within)),
                )
            },
        }

    def _next_facts(self) -> dict[str, float | str | None]:
        coming = self.next
        if coming is None:
            return {"expected": None}
        return {
            "expected": coming.state.value if coming.state else "no change",
            "forecast_horizon": coming.horizon,
            "expected_at_p50": coming.p50,
            "expected_at_p10": coming.p10,
            "expected_at_p90": coming.p90,
            "price_then_usd_per_mwh": coming.price_usd_per_mwh,
        }

    def _fleet_facts(self) -> dict[str, float | str | None]:
        fleet = self.fleet
        if fleet is None:
            return {}
        return {
            "fleet_before_w": fleet.before_w,
            "fleet_w": fleet.now_w,
            "fleet_change_w": fleet.change_w,
            "fleet_basis": fleet.basis,
            "jobs_paused": float(fleet.paused),
            "jobs_resumed": float(fleet.resumed),
            "tokens": float(fleet.tokens),
            "tokens_w": fleet.tokens_w,
        }


def fact_sheet(transition: GridTransition, around: Surroundings = ALONE, zone: ZoneInfo = UTC_CLOCK) -> FactSheet:
    """The facts of `transition` by the clock of `zone`; a reason that is not known here is kept and has no limit."""
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
        zone=state.since.astimezone(zone).tzname() or zone.key,
        date=f"{state.since.astimezone(zone):%Y-%m-%d}",
        since=f"{state.since.astimezone(zone):%H:%M}",
        reasons=tuple(NO_CODE.sub("_", reason)[:LONGEST_CODE] for reason in state.reasons),
        price=price,
        carbon=carbon,
        carbon_basis=given.carbon_basis,
        score=None if state.score is None else round(state.score, 2),
        score_before=None if state.score is None else _score_before(state.interval_start, given),
        limits={name: round(limit, 2) for name, limit in limits.items()} | price_limits | carbon_limits,
        dwell=None if dwell_seconds is None else duration(timedelta(seconds=dwell_seconds)),
        run=state.run,
        power_limit_w=rounded(state.power_limit_w)[0],
        replay=state.replay.run if state.replay else None,
        changes_last_hour=around.changes_last_hour if around.changes_last_hour >= FLAPPING else None,
        next=_next(around.expected, state.since, zone),
        fleet=_fleet(around.fleet),
        fuels=around.fuels,
    )


def _score_before(at: datetime, facts: TransitionFacts) -> float | None:
    """None where price, carbon or what they are held against is not known."""
    past = [
        (start, price, carbon)
        for start, price, carbon in zip(
            facts.recent_interval_starts, facts.recent_prices_usd_per_mwh, facts.recent_carbon_g_per_kwh, strict=False
        )
        if start < at
    ]
    if not past or None in past[-1] or not {"alpha", "beta"} <= facts.thresholds.keys():
        return None
    _, price, carbon = past[-1]
    norms = norms_of(price or 0.0, carbon or 0.0, facts)
    return norms and round(min(facts.thresholds["alpha"] * norms[0] + facts.thresholds["beta"] * norms[1], 1.0), 2)


def _next(expected: Expected | None, since: datetime, zone: ZoneInfo) -> Next | None:
    if expected is None:
        return None
    horizon = duration(timedelta(hours=expected.horizon // timedelta(hours=1)))
    if expected.change is None:
        return Next(horizon=horizon, state=None)

    def said(moment: datetime | None) -> str | None:
        if moment is None:
            return None
        local, today = moment.astimezone(zone), since.astimezone(zone).date()
        day = "" if local.date() == today else " tomorrow" if local.date() == today + DAY else f" on {local:%Y-%m-%d}"
        return f"{local:%H:%M}{day}"

    change = expected.change
    return Next(
        horizon=horizon,
        state=change.state,
        p50=said(change.p50),
        p10=said(change.p10),
        p90=said(change.p90),
        price_usd_per_mwh=rounded(change.price_usd_per_mwh)[0],
    )


def _fleet(answer: FleetAnswer | None) -> FleetFacts | None:
    if answer is None:
        return None
    before_w, now_w, tokens_w = (round(watts) + 0.0 for watts in (answer.before_w, answer.now_w, answer.tokens_w))
    return FleetFacts(
        before_w=before_w,
        now_w=now_w,
        change_w=abs(now_w - before_w),
        basis=answer.basis,
        paused=answer.paused,
        resumed=answer.resumed,
        tokens=answer.tokens,
        tokens_w=tokens_w,
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
    signal = Signal(
        value=shown,
        before=before,
        moved_within=moved_within,
        steady=move is None and any(v is not None and start < at for start, v in zip(starts, values, strict=False)),
    )
    return signal, dict(zip(limits, shown_limits, strict=True))
