"""Eco-Pulse over a whole recording at once: to the last bit what decide publishes event by event. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.window_order import kth_smallest
from carbonshift.common.errors import InputError
from carbonshift.common.events import GridTick, Pulse, Quality
from carbonshift.decide.policies.eco_pulse import FEWEST_VALUES, WARM_SHARE
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.trust import doubts

__all__ = ["PULSES", "EcoPulses", "Heard", "eco_pulses", "heard_of"]

Floats = NDArray[np.float64]
Seconds = NDArray[np.int64]
Places = NDArray[np.intp]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]

PULSES = tuple(Pulse)
"""The state that each code of `EcoPulses` stands for."""
GREEN, AMBER, RED, UNKNOWN = (PULSES.index(pulse) for pulse in (Pulse.GREEN, Pulse.AMBER, Pulse.RED, Pulse.UNKNOWN))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What decide hears of a region: aligned arrays of shape (n,), n >= 1, of one market and one carbon basis."""

    starts: Seconds
    """Unix seconds of the interval starts, rising; intervals may be absent."""
    interval_seconds: int
    prices_usd_per_mwh: Floats
    """NaN = missing, or spoken against."""
    carbon_g_per_kwh: Floats
    held: Flags
    """Whether the last trusted value stands in for the price or the carbon intensity."""
    doubted: Flags
    """Whether something speaks against the tick; a missing value does anyway."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EcoPulses:
    """What decide publishes: aligned arrays of shape (n,), named as in GridState."""

    state: Codes
    """Positions in PULSES."""
    since: Seconds
    score: Floats
    """NaN = none, here and in the norms."""
    price_norm: Floats
    carbon_norm: Floats
    run: Flags
    power_limit_w: Floats
    epoch: Seconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Where each value of a signal stands among its trailing window."""

    norm: Floats
    """NaN = the value, or its window, does not tell."""
    optimal: Floats
    has_spread: Flags
    told: Places
    """How many values the window holds."""


def heard_of(ticks: Iterable[GridTick]) -> Heard:
    """The arrays of ticks of one region, in order.

    Raises: InputError for what a row an interval cannot tell: corrections, and changes of market or carbon basis.
    """
    told = list(ticks)
    for before, tick in pairwise(told):
        if tick.interval_start <= before.interval_start:
            raise InputError(f"{tick.id} corrects what was heard", "decide such ticks with offline_states")
        if (tick.price_market, tick.carbon_basis) != (before.price_market, before.carbon_basis):
            raise InputError(f"{tick.id} changes market or carbon basis", "decide such ticks with offline_states")
    return Heard(
        starts=np.array([int(tick.interval_start.timestamp()) for tick in told], dtype=np.int64),
        interval_seconds=told[0].interval_seconds,
        prices_usd_per_mwh=np.array([tick.sound_price_usd_per_mwh for tick in told], dtype=np.float64),
        carbon_g_per_kwh=np.array([tick.sound_carbon_g_per_kwh for tick in told], dtype=np.float64),
        held=np.array([Quality.HELD in {tick.price_quality, tick.carbon_quality} for tick in told]),
        doubted=np.array([any(doubts(tick)) for tick in told]),
    )


def eco_pulses(heard: Heard, settings: DecideSettings) -> EcoPulses:
    """The states of `heard`, as `machine.step` with the policy `eco-pulse` makes them one by one.

    Args:
        heard: a region's ticks.
        settings: those in force in the region.
    """
    starts, prices, carbon = heard.starts, heard.prices_usd_per_mwh, heard.carbon_g_per_kwh
    oldest = np.searchsorted(starts, starts - settings.window_seconds, side="right")
    price, co2 = _standing(prices, oldest, settings), _standing(carbon, oldest, settings)
    told_seconds = np.minimum(price.told, co2.told) * heard.interval_seconds
    warm = starts - starts[oldest] >= settings.warm_up_seconds
    warm &= told_seconds >= WARM_SHARE * settings.warm_up_seconds
    trusted = ~(heard.doubted | np.isnan(prices) | np.isnan(carbon))
    scored = warm & trusted & price.has_spread & co2.has_spread
    critical = (prices >= settings.critical_price_usd_per_mwh) | (carbon >= settings.critical_carbon_g_per_kwh)
    score = np.where(scored, settings.alpha * price.norm + settings.beta * co2.norm, np.nan)
    above = (prices > _or_set(settings.optimal_price_usd_per_mwh, price)) | (
        carbon > _or_set(settings.optimal_carbon_g_per_kwh, co2)
    )
    unscored = np.where(trusted & ~warm, AMBER, UNKNOWN)
    by_score = [
        np.where(critical, RED, np.where(scored, wanted, unscored)).astype(np.int8)
        for wanted in _by_score(score, above, heard.held, settings)
    ]
    warming_up = trusted & ~warm & ~critical
    dwells = scored & ~critical
    dwells[1:] &= ~warming_up[:-1]
    state, since = _settled(starts, by_score, dwells, settings.dwell_seconds)
    run, power_limit_w, epoch = _setpoints(starts, state, settings)
    return EcoPulses(
        state=state,
        since=since,
        score=np.where(score > 1.0, 1.0, score),
        price_norm=np.where(scored, price.norm, np.nan),
        carbon_norm=np.where(scored, co2.norm, np.nan),
        run=run,
        power_limit_w=power_limit_w,
        epoch=epoch,
    )


def _standing(values: Floats, oldest: Places, settings: DecideSettings) -> Standing:
    """The arithmetic of `norm.spread_of` and `norm.robust_norm`, in their order: another rounds otherwise."""
    known = ~np.isnan(values)
    known_before = np.concatenate(([0], np.cumsum(known)))
    begins, ends = known_before[oldest], known_before[1:]
    enough = ends - begins >= FEWEST_VALUES
    last = (ends - begins)[enough] - 1
    band = settings.band()
    positions = last * np.array([[band.low_quantile], [band.optimal_quantile], [band.high_quantile]])
    below = positions.astype(np.intp)
    ranks = np.concatenate((below, np.minimum(below + 1, last)))
    lower, upper = np.split(kth_smallest(values[known], begins[enough], ends[enough], ranks), 2)
    quantiles = np.full((3, values.size), np.nan)
    with np.errstate(all="ignore"):  # what is too large to tell becomes infinite or NaN, and has no spread
        quantiles[:, enough] = lower + (upper - lower) * (positions - below)
        low, optimal, high = quantiles
        has_spread = (high - low > 0.0) & (high - low < np.inf)
        norm = (values - low) / (high - low)
    norm = np.where(norm > 0.0, norm, 0.0)
    return Standing(norm=np.where(norm > 1.0, 1.0, norm), optimal=optimal, has_spread=has_spread, told=ends - begins)


def _or_set(optimal: float | None, standing: Standing) -> Floats | float:
    return standing.optimal if optimal is None else optimal


def _by_score(score: Floats, above: Flags, held: Flags, settings: DecideSettings) -> tuple[NDArray[np.int_], ...]:
    """The states that the score alone gives, one row for each state before, in the order of PULSES."""
    slack = settings.hysteresis_score
    low, still_low = (~above & (score <= limit) for limit in (settings.green_score, settings.green_score + slack))
    entered = np.where(score >= settings.red_score, RED, np.where(low & ~held, GREEN, AMBER))
    after_green = np.where(score >= settings.red_score, RED, np.where(still_low, GREEN, AMBER))
    after_red = np.where(score >= settings.red_score - slack, RED, entered)
    return after_green, entered, after_red, entered


def _settled(starts: Seconds, by_score: list[Codes], dwells: Flags, dwell_seconds: float) -> tuple[Codes, Seconds]:
    """States and their beginnings, by jumps from one wish to leave a state to the next."""
    leaves = [(wanted != before).tobytes() for before, wanted in enumerate(by_score)]
    dwell = timedelta(seconds=dwell_seconds).total_seconds()  # rounded to whole microseconds, as there
    seconds, waits = starts.tolist(), dwells.tobytes()  # plain numbers: an array gives its items slowly
    changes, states = [0], [int(by_score[UNKNOWN][0])]
    at = 1
    while (at := leaves[states[-1]].find(1, at)) >= 0:
        if states[-1] == UNKNOWN or not waits[at] or seconds[at] - seconds[changes[-1]] >= dwell:
            states.append(int(by_score[states[-1]][at]))
            changes.append(at)
        at += 1
    lengths = np.diff(changes, append=starts.size)
    return np.repeat(np.array(states, dtype=np.int8), lengths), np.repeat(starts[changes], lengths)


def _setpoints(starts: Seconds, state: Codes, settings: DecideSettings) -> tuple[Flags, Floats, Seconds]:
    """Permission, watts and epoch; UNKNOWN holds those of the last other state."""
    numbers = np.arange(state.size)
    decided_at = np.maximum.accumulate(np.where(state == UNKNOWN, -1, numbers))
    of = np.where(decided_at < 0, UNKNOWN, state[decided_at])
    limits_w = np.empty(len(PULSES))
    limits_w[GREEN], limits_w[AMBER] = settings.green_power_limit_w, settings.amber_power_limit_w
    limits_w[RED] = limits_w[UNKNOWN] = settings.red_power_limit_w
    run = of != RED
    begins = run.copy()
    begins[1:] &= ~run[:-1]
    begins[0] = True
    return run, limits_w[of], starts[np.maximum.accumulate(np.where(begins, numbers, 0))]
