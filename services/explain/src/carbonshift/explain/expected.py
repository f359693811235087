"""When the state should change next, by the forecast. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from carbonshift.common.events import GridForecast, GridTransition, Pulse, TransitionFacts
from carbonshift.explain.norms import norms_of

__all__ = ["Change", "Expected", "Lack", "expected_change"]

OLDEST = timedelta(hours=1)
FURTHEST_STEPS = 2
"""A forecast made so many steps after the interval still knows nothing of what it led to."""
TOLD = frozenset(
    {
        "critical_price_usd_per_mwh",
        "critical_carbon_g_per_kwh",
        "optimal_price_usd_per_mwh",
        "optimal_carbon_g_per_kwh",
        "green_score",
        "red_score",
        "hysteresis_score",
        "dwell_seconds",
        "alpha",
        "beta",
    }
)
"""The thresholds without which there is no verdict."""


class Lack(StrEnum):
    """Why a forecast does not tell what the state becomes."""

    DEGRADED = "degraded forecast"
    OPEN = "open"
    """The state does not follow from price and carbon alone, or not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The next change where price and carbon both follow one of their quantiles."""

    state: Pulse
    """What the state becomes at p50."""
    p50: datetime
    p10: datetime | None
    """None: not within the horizon."""
    p90: datetime | None
    price_usd_per_mwh: float
    """p50 of the interval in which it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a forecast says of the state."""

    horizon: timedelta
    """How far it looks ahead from the change before."""
    change: Change | None
    """None: none within the horizon at p50, or a `lack`."""
    lack: Lack | None = None


def expected_change(transition: GridTransition, forecast: GridForecast | None) -> Expected | None:
    """What Eco-Pulse would make of the forecast, with the thresholds and the trailing quantiles of the transition.

    None for UNKNOWN, which ends when the signals come back, and without a forecast of that very hour. The quantiles are
    those of each step by itself, so that the times at p10 and p90 bound what may happen: they are no quantiles of the
    time.
    """
    state, facts = transition.state, transition.facts
    if forecast is None or state.state is Pulse.UNKNOWN or not _of_that_hour(transition, forecast):
        return None
    horizon = _start(forecast, len(forecast.price_usd_per_mwh.p50)) - state.since
    if forecast.degraded:
        return Expected(horizon=horizon, change=None, lack=Lack.DEGRADED)
    if not TOLD.issubset(facts.thresholds) or norms_of(0.0, 0.0, facts) is None:
        return Expected(horizon=horizon, change=None, lack=Lack.OPEN)
    change = None
    if p50 := next(_changes(transition, forecast, "p50"), None):
        step, becomes = p50
        change = Change(
            state=becomes,
            p50=_start(forecast, step),
            p10=_first(becomes, transition, forecast, "p10"),
            p90=_first(becomes, transition, forecast, "p90"),
            price_usd_per_mwh=forecast.price_usd_per_mwh.p50[step],
        )
    return Expected(horizon=horizon, change=change)


def _of_that_hour(transition: GridTransition, forecast: GridForecast) -> bool:
    state = transition.state
    run = {event.run if event else None for event in (state.replay, forecast.replay)}
    step = timedelta(seconds=state.interval_seconds)
    return (
        len(run) == 1
        and forecast.carbon_basis is transition.facts.carbon_basis
        and state.interval_start - max(OLDEST, step) <= forecast.origin <= state.interval_start + FURTHEST_STEPS * step
    )


def _start(forecast: GridForecast, step: int) -> datetime:
    return forecast.origin + step * timedelta(seconds=forecast.step_seconds)


def _first(becomes: Pulse, transition: GridTransition, forecast: GridForecast, quantile: str) -> datetime | None:
    """When the same change comes at another quantile; None where another comes first, but for the end of RED."""
    step, state = next(_changes(transition, forecast, quantile), (0, None))
    same = state is becomes or (state is not None and transition.state.state is Pulse.RED)
    return _start(forecast, step) if same else None


def _changes(transition: GridTransition, forecast: GridForecast, quantile: str) -> Iterator[tuple[int, Pulse]]:
    """The steps in which the state would be another one: beyond a hard limit at once, else once its dwell is over."""
    state, since, facts = transition.state.state, transition.state.since, transition.facts
    settled = since + timedelta(seconds=facts.thresholds["dwell_seconds"])
    prices = getattr(forecast.price_usd_per_mwh, quantile)
    intensities = getattr(forecast.carbon_g_per_kwh, quantile)
    for step, (price, carbon) in enumerate(zip(prices, intensities, strict=False)):
        start, critical = _start(forecast, step), _critical(price, carbon, facts)
        becomes = Pulse.RED if critical else _by_score(price, carbon, state, facts)
        if becomes is not state and start > since and (critical or start >= settled):
            yield step, becomes


def _critical(price: float, carbon: float, facts: TransitionFacts) -> bool:
    limits = facts.thresholds
    return price >= limits["critical_price_usd_per_mwh"] or carbon >= limits["critical_carbon_g_per_kwh"]


def _by_score(price: float, carbon: float, was: Pulse, facts: TransitionFacts) -> Pulse:
    """Eco-Pulse's verdict on one forecast interval within the hard limits."""
    limits = facts.thresholds
    price_norm, carbon_norm = norms_of(price, carbon, facts) or (1.0, 1.0)
    score, slack = limits["alpha"] * price_norm + limits["beta"] * carbon_norm, limits["hysteresis_score"]
    if score >= limits["red_score"] - (slack if was is Pulse.RED else 0.0):
        return Pulse.RED
    above = price > limits["optimal_price_usd_per_mwh"] or carbon > limits["optimal_carbon_g_per_kwh"]
    if not above and score <= limits["green_score"] + (slack if was is Pulse.GREEN else 0.0):
        return Pulse.GREEN
    return Pulse.AMBER
