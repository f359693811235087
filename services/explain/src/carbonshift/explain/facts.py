"""The fact sheet of a transition: every figure and name that a narrative may use, rounded as it is shown. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from carbonshift.common.events import CarbonBasis, GridState, GridTransition, Issue, Pulse, TransitionFacts
from carbonshift.explain.expected import Expected, Lack
from carbonshift.explain.figures import duration, rounded
from carbonshift.explain.fleet import FleetAnswer
from carbonshift.explain.fuel_shift import FuelShift
from carbonshift.explain.move import Move, move_to
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
PAST_INTERVALS = 12
"""A move over more of them is not what changed the state."""
PRICE_DOUBTS = {issue.value for issue in Issue if not issue.startswith("carbon_")} | {"signal_flat"}
CARBON_DOUBTS = {issue.value for issue in Issue if not issue.startswith("price_")} | {"signal_flat"}
NO_CODE = re.compile(r"[^a-z0-9_]+")
LONGEST_CODE = 60
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
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
    doubted: bool = False
    """A reason says that it is not to be believed: then no move of it is told."""


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
    """None: no change within the horizon at p50, or a `lack`."""
    lack: Lack | None = None
    """Why the forecast does not tell."""
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
    ran: bool | None
    """Whether training could run until then; None where that is not told."""
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
            "training_before": None if self.ran is None else "could run" if self.ran else "paused",
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
            "expected": coming.lack.value if coming.lack else coming.state.value if coming.state else "no change",
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
    oldest = state.interval_start - PAST_INTERVALS * timedelta(seconds=state.interval_seconds)
    price, price_limits = _signal(
        given.price_usd_per_mwh,
        state.interval_start,
        _past(oldest, state.interval_start, given.recent_interval_starts, given.recent_prices_usd_per_mwh),
        LEAST_PRICE_MOVE_USD_PER_MWH,
        {name: limit for name, limit in limits.items() if name.endswith("usd_per_mwh")},
        doubted=bool({*state.reasons} & PRICE_DOUBTS),
    )
    carbon, carbon_limits = _signal(
        given.carbon_g_per_kwh,
        state.interval_start,
        _past(oldest, state.interval_start, given.recent_interval_starts, given.recent_carbon_g_per_kwh),
        LEAST_CARBON_MOVE_G_PER_KWH,
        {name: limit for name, limit in limits.items() if name.endswith("g_per_kwh")},
        doubted=bool({*state.reasons} & CARBON_DOUBTS),
    )
    dwell_seconds = limits.get("dwell_seconds")
    since = transition.previous_since
    return FactSheet(
        region=transition.region,
        state=state.state,
        previous=transition.previous,
        previous_lasted=duration(state.since - since) if transition.previous and since else None,
        ran=_ran(transition),
        zone=state.since.astimezone(zone).tzname() or zone.key,
        date=f"{state.since.astimezone(zone):%Y-%m-%d}",
        since=f"{state.since.astimezone(zone):%H:%M}",
        reasons=tuple(NO_CODE.sub("_", reason)[:LONGEST_CODE] for reason in state.reasons),
        price=price,
        carbon=carbon,
        carbon_basis=given.carbon_basis,
        score=None if state.score is None else round(state.score, 2),
        score_before=None if state.score is None else _score_before(state, given),
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


def _ran(transition: GridTransition) -> bool | None:
    if transition.previous_run is None:
        return {Pulse.GREEN: True, Pulse.AMBER: True, Pulse.RED: False}.get(transition.previous or Pulse.UNKNOWN)
    return transition.previous_run


def _score_before(state: GridState, facts: TransitionFacts) -> float | None:
    """None where price or carbon of the interval before is not known, or what they are held against."""
    before = state.interval_start - timedelta(seconds=state.interval_seconds)
    past = zip(
        facts.recent_interval_starts, facts.recent_prices_usd_per_mwh, facts.recent_carbon_g_per_kwh, strict=False
    )
    price, carbon = next(((price, carbon) for start, price, carbon in past if start == before), (None, None))
    if price is None or carbon is None or not {"alpha", "beta"} <= facts.thresholds.keys():
        return None
    norms = norms_of(price, carbon, facts)
    return norms and round(min(facts.thresholds["alpha"] * norms[0] + facts.thresholds["beta"] * norms[1], 1.0), 2)


def _next(expected: Expected | None, since: datetime, zone: ZoneInfo) -> Next | None:
    if expected is None:
        return None
    whole = HOUR if expected.horizon >= HOUR else MINUTE
    horizon = duration(expected.horizon // whole * whole)
    if expected.change is None:
        return Next(horizon=horizon, state=None, lack=expected.lack)
    now = since.astimezone(zone)

    def said(moment: datetime | None) -> str | None:
        if moment is None:
            return None
        local, today = moment.astimezone(zone), now.date()
        clock = "" if local.utcoffset() == now.utcoffset() else f" {local:%Z}"  # summer time begins or ends meanwhile
        day = "" if local.date() == today else " tomorrow" if local.date() == today + DAY else f" on {local:%Y-%m-%d}"
        return f"{local:%H:%M}{clock}{day}"

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


Past = tuple[tuple[datetime, float], ...]


def _past(oldest: datetime, until: datetime, starts: tuple[datetime, ...], values: tuple[float | None, ...]) -> Past:
    """What is known of the intervals from `oldest` to before `until`, in their order."""
    pairs = zip(starts, values, strict=False)
    return tuple((start, value) for start, value in pairs if value is not None and oldest <= start < until)


def _signal(
    value: float | None, at: datetime, past: Past, least: float, limits: Mapping[str, float], *, doubted: bool
) -> tuple[Signal, dict[str, float]]:
    """The signal and its limits, rounded together: what is above a limit must not be shown as equal to it."""
    if value is None:
        return Signal(value=None, doubted=doubted), dict(zip(limits, rounded(*limits.values()), strict=True))
    move = None if doubted else _move(value, at, past, least, limits)
    shown, *shown_limits = rounded(value, *limits.values(), *([move.before] if move else []))
    before = shown_limits.pop() if move else None
    signal = Signal(
        value=shown,
        before=before,
        moved_within=duration(move.took) if move else None,
        steady=move is None and not doubted and bool(past),
        doubted=doubted,
    )
    return signal, dict(zip(limits, shown_limits, strict=True))


def _move(value: float, at: datetime, past: Past, least: float, limits: Mapping[str, float]) -> Move | None:
    """The move that a person would name; one over a limit is named however small it is."""
    starts, values = tuple(start for start, _ in past), tuple(known for _, known in past)
    move = move_to(value, at, starts, values, max(least, LEAST_MOVE_SHARE * abs(value)))
    if (
        move is None
        and past
        and any(min(past[-1][1], value) <= limit <= max(past[-1][1], value) for limit in limits.values())
    ):
        return Move(past[-1][1], at - past[-1][0]) if past[-1][1] != value else None
    return move
