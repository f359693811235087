"""Every figure that a fact sheet backs: what it measures, what it is of, and which part it may play. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from carbonshift.explain.facts import FactSheet, FleetFacts, Next, Signal
from carbonshift.explain.figures import duration
from carbonshift.explain.verification.reading import Figure, Unit, read

__all__ = ["About", "Known", "Role", "known_figures"]


class About(StrEnum):
    """What a figure is of; a fuel is under its own name."""

    PRICE = "price"
    CARBON = "carbon"
    SCORE = "score"
    TRAINING = "training"
    FLEET = "fleet"
    PAUSED = "paused"
    RESUMED = "resumed"
    TOKENS = "tokens"
    STATE = "state"


class Role(StrEnum):
    """The part it plays."""

    NOW = "now"
    BEFORE = "before"
    CHANGE = "change"
    CRITICAL = "critical limit"
    OPTIMAL = "limit of GREEN"
    GREEN = "GREEN"
    RED = "RED"
    SLACK = "hysteresis"
    MOVED = "time it took"
    LASTED = "time it lasted"
    DWELL = "dwell"
    HORIZON = "horizon"
    THEN = "then"
    P50 = "p50"
    P10 = "p10"
    P90 = "p90"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One figure of the sheet."""

    unit: Unit
    value: float | str
    about: str
    role: Role
    tomorrow: bool = False


def known_figures(sheet: FactSheet) -> tuple[Known, ...]:
    """All of them."""
    return (
        *_signal(sheet.price, Unit.PRICE, About.PRICE),
        *_signal(sheet.carbon, Unit.CARBON, About.CARBON),
        *_limits(sheet),
        *_state(sheet),
        *_coming(sheet.next),
        *_fleet(sheet.fleet),
        *_fuels(sheet),
    )


def _signal(signal: Signal, unit: Unit, about: About) -> Iterator[Known]:
    if signal.value is not None:
        yield Known(unit=unit, value=signal.value, about=about, role=Role.NOW)
    if signal.value is not None and signal.before is not None:
        change = abs(signal.value - signal.before)
        yield Known(unit=unit, value=signal.before, about=about, role=Role.BEFORE)
        yield Known(unit=unit, value=change, about=about, role=Role.CHANGE)
        if signal.before > 0 and signal.value >= 0:
            yield Known(unit=Unit.PERCENT, value=100 * change / signal.before, about=about, role=Role.CHANGE)
    if signal.moved_within is not None:
        yield Known(unit=Unit.DURATION, value=_minutes(signal.moved_within), about=about, role=Role.MOVED)


LIMITS = {
    "critical_price_usd_per_mwh": (Unit.PRICE, About.PRICE, Role.CRITICAL),
    "optimal_price_usd_per_mwh": (Unit.PRICE, About.PRICE, Role.OPTIMAL),
    "critical_carbon_g_per_kwh": (Unit.CARBON, About.CARBON, Role.CRITICAL),
    "optimal_carbon_g_per_kwh": (Unit.CARBON, About.CARBON, Role.OPTIMAL),
    "green_score": (Unit.BARE, About.SCORE, Role.GREEN),
    "red_score": (Unit.BARE, About.SCORE, Role.RED),
    "hysteresis_score": (Unit.BARE, About.SCORE, Role.SLACK),
}


def _limits(sheet: FactSheet) -> Iterator[Known]:
    for name, value in sheet.limits.items():
        if name in LIMITS:
            unit, about, role = LIMITS[name]
            yield Known(unit=unit, value=value, about=about, role=role)
    if sheet.score is not None:
        yield Known(unit=Unit.BARE, value=sheet.score, about=About.SCORE, role=Role.NOW)
    if sheet.score_before is not None:
        yield Known(unit=Unit.BARE, value=sheet.score_before, about=About.SCORE, role=Role.BEFORE)
    if sheet.dwell is not None:
        yield Known(unit=Unit.DURATION, value=_minutes(sheet.dwell), about=About.STATE, role=Role.DWELL)


def _state(sheet: FactSheet) -> Iterator[Known]:
    yield Known(unit=Unit.CLOCK, value=sheet.since, about=About.STATE, role=Role.NOW)
    yield Known(unit=Unit.DATE, value=sheet.date, about=About.STATE, role=Role.NOW)
    if sheet.previous_lasted is not None:
        yield Known(unit=Unit.DURATION, value=_minutes(sheet.previous_lasted), about=About.STATE, role=Role.LASTED)
    if sheet.run:
        yield Known(unit=Unit.POWER, value=sheet.power_limit_w, about=About.TRAINING, role=Role.NOW)
    if sheet.changes_last_hour is not None:
        yield Known(unit=Unit.BARE, value=sheet.changes_last_hour, about=About.STATE, role=Role.CHANGE)


def _coming(coming: Next | None) -> Iterator[Known]:
    if coming is None:
        return
    yield Known(unit=Unit.DURATION, value=_minutes(coming.horizon), about=About.STATE, role=Role.HORIZON)
    if coming.price_usd_per_mwh is not None:
        yield Known(unit=Unit.PRICE, value=coming.price_usd_per_mwh, about=About.PRICE, role=Role.THEN)
    for role, moment in ((Role.P50, coming.p50), (Role.P10, coming.p10), (Role.P90, coming.p90)):
        if moment is not None:
            clock, *day = moment.split()
            yield Known(unit=Unit.CLOCK, value=clock, about=About.STATE, role=role, tomorrow=day[-1:] == ["tomorrow"])
            if "on" in day:
                yield Known(unit=Unit.DATE, value=day[-1], about=About.STATE, role=role)


def _fleet(fleet: FleetFacts | None) -> Iterator[Known]:
    if fleet is None:
        return
    yield Known(unit=Unit.POWER, value=fleet.before_w, about=About.FLEET, role=Role.BEFORE)
    yield Known(unit=Unit.POWER, value=fleet.now_w, about=About.FLEET, role=Role.NOW)
    yield Known(unit=Unit.POWER, value=fleet.change_w, about=About.FLEET, role=Role.CHANGE)
    yield Known(unit=Unit.POWER, value=fleet.tokens_w, about=About.TOKENS, role=Role.NOW)
    for count, about in (
        (fleet.paused, About.PAUSED),
        (fleet.resumed, About.RESUMED),
        (fleet.tokens, About.TOKENS),
    ):
        yield Known(unit=Unit.BARE, value=count, about=about, role=Role.NOW)


def _fuels(sheet: FactSheet) -> Iterator[Known]:
    for shift in sheet.fuels:
        about = shift.fuel.value
        yield Known(unit=Unit.PERCENT, value=shift.before_percent, about=about, role=Role.BEFORE)
        yield Known(unit=Unit.PERCENT, value=shift.now_percent, about=about, role=Role.NOW)
        yield Known(unit=Unit.DURATION, value=_minutes(duration(shift.within)), about=about, role=Role.MOVED)


def _minutes(said: str) -> float:
    """Of a duration as it is said."""
    (figure,) = read(said)
    assert isinstance(figure, Figure)  # noqa: S101
    return float(figure.value)
