"""The step of a region: memory and a tick in, memory and events out. Pure: the service and a backtest both run it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from carbonshift.common.events import GridState, GridTick, GridTransition, Pulse, TransitionFacts
from carbonshift.decide.history import History
from carbonshift.decide.policy import Policy, Verdict
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.trust import doubts

__all__ = ["RegionMemory", "remembered", "step"]

RECENT_INTERVALS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionMemory:
    """All that a region's next decision depends on; what is not here is in the tick or the settings."""

    history: History = field(default_factory=History)
    state: GridState | None = None
    """The state of the newest interval decided."""


def step(
    memory: RegionMemory, tick: GridTick, policy: Policy, settings: DecideSettings
) -> tuple[RegionMemory, GridTransition | None, GridState | None]:
    """Decide one tick.

    One that is not newer than the newest decided (a correction, a redelivery) amends the history and decides
    nothing: what was decided was decided on what was known.
    """
    history = memory.history.with_tick(tick, settings.window_seconds)
    if memory.state is not None and tick.interval_start <= memory.state.interval_start:
        return RegionMemory(history=history, state=memory.state), None, None
    verdict = policy.judge(history, tick, memory.state)
    if verdict.state is Pulse.GREEN and (against := tuple(doubts(tick))):
        verdict = replace(verdict, state=Pulse.UNKNOWN, reasons=against)  # whatever a policy says
    state = _state(tick, verdict, memory.state, policy.name, settings)
    changed = memory.state is None or memory.state.state is not state.state
    transition = _transition(tick, verdict, memory.state, state, history) if changed else None
    return RegionMemory(history=history, state=state), transition, state


def remembered(memory: RegionMemory, tick: GridTick, settings: DecideSettings) -> RegionMemory:
    """`memory` with a tick that was decided before: only its history grows."""
    return RegionMemory(history=memory.history.with_tick(tick, settings.window_seconds), state=memory.state)


def _state(
    tick: GridTick, verdict: Verdict, previous: GridState | None, policy_name: str, settings: DecideSettings
) -> GridState:
    limit_w, run = _setpoint(verdict, previous, settings)
    starts_running = run and (previous is None or not previous.run)
    return GridState(
        region=tick.region,
        interval_start=tick.interval_start,
        interval_seconds=tick.interval_seconds,
        state=verdict.state,
        since=previous.since if previous and previous.state is verdict.state else tick.interval_start,
        score=verdict.score,
        price_norm=verdict.price_norm,
        carbon_norm=verdict.carbon_norm,
        power_limit_w=limit_w,
        power_fraction=settings.power_fraction(limit_w),
        run=run,
        epoch=int(tick.interval_start.timestamp()) if starts_running or previous is None else previous.epoch,
        reasons=verdict.reasons,
        valid_until=max(tick.interval_end, tick.observed_at)  # a source that is always late still gives a whole lease
        + timedelta(seconds=tick.interval_seconds * settings.lease_intervals),
        policy=policy_name,
        replay=tick.replay,
    )


def _setpoint(verdict: Verdict, previous: GridState | None, settings: DecideSettings) -> tuple[float, bool]:
    """Watts for the reference board, and whether training may run. UNKNOWN holds what was."""
    if verdict.state is Pulse.UNKNOWN:
        return (previous.power_limit_w, previous.run) if previous else (settings.red_power_limit_w, True)
    limits_w = {
        Pulse.GREEN: settings.green_power_limit_w,
        Pulse.AMBER: settings.amber_power_limit_w,
        Pulse.RED: settings.red_power_limit_w,
    }
    return verdict.power_limit_w or limits_w[verdict.state], verdict.state is not Pulse.RED


def _transition(
    tick: GridTick, verdict: Verdict, previous: GridState | None, state: GridState, history: History
) -> GridTransition:
    recent = slice(-RECENT_INTERVALS, None)
    price_spread, carbon_spread = verdict.price_spread, verdict.carbon_spread
    return GridTransition(
        region=tick.region,
        state=state,
        previous=previous.state if previous else None,
        previous_since=previous.since if previous else None,
        previous_run=previous.run if previous else None,
        facts=TransitionFacts(
            price_usd_per_mwh=tick.price_usd_per_mwh,
            carbon_g_per_kwh=tick.carbon_g_per_kwh,
            carbon_basis=tick.carbon_basis,
            price_low_usd_per_mwh=price_spread.low if price_spread else None,
            price_high_usd_per_mwh=price_spread.high if price_spread else None,
            carbon_low_g_per_kwh=carbon_spread.low if carbon_spread else None,
            carbon_high_g_per_kwh=carbon_spread.high if carbon_spread else None,
            thresholds=verdict.thresholds,
            recent_interval_starts=tuple(datetime.fromtimestamp(int(s), UTC) for s in history.starts[recent]),
            recent_prices_usd_per_mwh=_optional(history.prices_usd_per_mwh[recent]),
            recent_carbon_g_per_kwh=_optional(history.carbon_g_per_kwh[recent]),
        ),
    )


def _optional(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)
