"""The step of a region: a tick makes it remember, opinions make it speak. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from carbonshift.common.events import GridForecast, GridTick, Quantiles, Replay
from carbonshift.forecast.cadence import Cadence
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.memory import Memory
from carbonshift.forecast.opinion import CARBON, PRICE, SPIKE, Opinion
from carbonshift.forecast.panel import verdict
from carbonshift.forecast.record import Record
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.skill import skill
from carbonshift.forecast.told_ahead import ToldAhead

__all__ = ["Region", "heard", "history_of", "passed", "remembered", "told"]

DECIMALS = 3
"""Of what is forecast: more would tell of a certainty that is not there, and fill the broker."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """All that a region's next forecast depends on, but for what others have told of its future."""

    name: str
    replay: Replay | None
    memory: Memory
    cadence: Cadence = field(default_factory=Cadence)
    record: Record = field(default_factory=Record)


def heard(region: Region | None, tick: GridTick, settings: ForecastSettings) -> Region:
    """The region after `tick`, a forecast of it perhaps due."""
    region = remembered(region, tick, settings)
    return replace(region, cadence=region.cadence.at(region.memory.end, settings.every_seconds))


def remembered(region: Region | None, tick: GridTick, settings: ForecastSettings) -> Region:
    """The region after a tick that was handled before: a new one where the tick does not continue its history."""
    if region is None or not region.memory.continues(tick):
        memory = Memory.of(tick, settings.history_seconds)
        return Region(name=tick.region, replay=tick.replay, memory=memory)
    return replace(region, memory=region.memory.with_tick(tick))


def passed(region: Region) -> Region:
    """The region after a forecast that could not be made: it is due again an interval of forecasts later."""
    return replace(region, cadence=region.cadence.made(region.memory.end))


def history_of(region: Region, ahead: ToldAhead, steps: int, time_zone: str) -> History:
    """What a forecast of so many steps is made from."""
    history = region.memory.history()
    size, step_seconds, origin = history.price_usd_per_mwh.size, history.step_seconds, region.memory.end
    return replace(
        history,
        published_usd_per_mwh=ahead.prices(origin - size * step_seconds, step_seconds, size + steps),
        provided_g_per_kwh=ahead.carbon(origin, step_seconds, steps, region.memory.carbon_basis),
        time_zone=time_zone,
    )


def told(
    region: Region, history: History, outlooks: Mapping[str, Outlook], more: Mapping[str, Opinion]
) -> tuple[Region, GridForecast]:
    """The forecast that the models make together, and the region after it is out.

    Args:
        region: whose forecast is due.
        history: that it was made from.
        outlooks: see `verdict`.
        more: likewise.
    """
    found = verdict(region.record, history, outlooks, more)
    forecast = GridForecast(
        region=region.name,
        origin=history.origin,
        step_seconds=history.step_seconds,
        price_usd_per_mwh=_quantiles(found.said[PRICE], exact=found.known_steps),
        price_known_steps=found.known_steps,
        carbon_g_per_kwh=_quantiles(found.said[CARBON]),
        carbon_basis=region.memory.carbon_basis,
        spike_probability=tuple(np.round(found.said[SPIKE][0], DECIMALS).tolist()),
        spike_threshold_usd_per_mwh=found.spike_threshold_usd_per_mwh,
        price_models=dict(found.price_models),
        carbon_models=dict(found.carbon_models),
        skill=skill(found.record),
        degraded=found.degraded,
        replay=region.replay,
    )
    return replace(passed(region), record=found.record), forecast


def _quantiles(rows: Array, exact: int = 0) -> Quantiles:
    """What is forecast in so many decimals, the first `exact` steps as they were published."""
    rounded = np.round(rows, DECIMALS)
    rounded[:, :exact] = rows[:, :exact]
    p10, p50, p90 = (tuple(row.tolist()) for row in rounded)
    return Quantiles(p10=p10, p50=p50, p90=p90)
