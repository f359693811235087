"""What the same work would have taken without following the grid: at once, under one power limit all the way. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from carbonshift.common.accounting import Usage
from carbonshift.common.errors import InputError
from carbonshift.common.events import GridTick
from carbonshift.common.power_curve import PowerCurve

__all__ = ["USD_PER_TONNE", "Baseline", "best_static_cap", "run_at_limit"]

USD_PER_TONNE = 100.0
"""What a tonne of CO2 counts where energy and carbon meet in one sum."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A run under one limit: which, until when, and what it took."""

    limit_w: float
    finish: datetime
    usage: Usage


def run_at_limit(
    curve: PowerCurve, limit_w: float, work_seconds: float, start: datetime, ticks: Sequence[GridTick]
) -> Baseline:
    """Do `work_seconds` of full-power work from `start` on, without a break, under `limit_w`.

    After the work is done the board counts nothing.

    Args:
        curve: draw and speed of the board.
        limit_w: the power limit.
        work_seconds: work, in seconds at full power.
        start: event time.
        ticks: the grid, rising in time, from the interval of `start` on.

    Raises: InputError where the ticks end before the work does.
    """
    draw_w, speed = curve.draw_w(limit_w), curve.speed(limit_w)
    usage, now, left = Usage(), start, work_seconds / speed
    for tick in ticks:
        if left <= 0:
            break
        if tick.interval_end <= now:
            continue
        seconds = min(left, (tick.interval_end - now).total_seconds())
        usage += Usage.of(
            seconds=seconds,
            energy_j=draw_w * seconds,
            work_seconds=speed * seconds,
            parked=False,
            price_usd_per_mwh=tick.sound_price_usd_per_mwh,
            carbon_g_per_kwh=tick.sound_carbon_g_per_kwh,
        )
        now += timedelta(seconds=seconds)
        left -= seconds
    if left > 1e-3:  # noqa: PLR2004  # a millisecond: datetimes keep microseconds
        raise InputError(f"the tape ends {left:.0f} s before the work does", "give a longer tape, or less work")
    return Baseline(limit_w, now, usage)


def best_static_cap(
    curve: PowerCurve,
    works_seconds: Sequence[float],
    start: datetime,
    ticks: Sequence[GridTick],
    usd_per_tonne: float = USD_PER_TONNE,
) -> list[Baseline]:
    """The cheapest whole-watt limit for a fleet of equal boards, carbon at `usd_per_tonne`: what needs no signal.

    Args:
        curve: draw and speed of each board.
        works_seconds: the work of each board, in seconds at full power.
        start: event time at which all begin.
        ticks: the grid, rising in time, long enough for the lowest limit.
        usd_per_tonne: price of carbon in the choice.

    Returns: the run of each board under that one limit, in the order of `works_seconds`.
    """

    def usd(runs: list[Baseline]) -> float:
        return sum(run.usage.cost_usd + run.usage.carbon_g / 1e6 * usd_per_tonne for run in runs)

    limits_w = range(round(curve.limits_w[0]), round(curve.limits_w[-1]) + 1)
    fleets = (
        [run_at_limit(curve, float(limit_w), work, start, ticks) for work in works_seconds] for limit_w in limits_w
    )
    return min(fleets, key=usd)
