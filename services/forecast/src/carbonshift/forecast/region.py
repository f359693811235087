"""The step of a region: a tick makes it remember, opinions make it speak. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from carbonshift.common.events import GridForecast, GridTick, Quantiles, Replay
from carbonshift.forecast.blend import blended, weights
from carbonshift.forecast.cadence import Cadence
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.memory import Memory
from carbonshift.forecast.opinion import CARBON, PRICE, SPIKE, Opinion, opinion_of
from carbonshift.forecast.published import known_ahead, with_known
from carbonshift.forecast.record import BLEND, BLOCK_HOURS, Record, claim_of, learned
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.skill import skill
from carbonshift.forecast.told_ahead import ToldAhead

__all__ = ["Region", "heard", "history_of", "passed", "remembered", "told"]

WEIGHED_HOURS = 4
"""The weights in a forecast are means over so many."""


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
        outlooks: by model, at least one, the one to trust first in front. Where some are degraded and some are not,
            those that are have no say.
        more: opinions of those who speak of some signals only, or were shown an outlook.
    """
    record = learned(region.record, history)
    sound = {model: outlook for model, outlook in outlooks.items() if not outlook.degraded}
    threshold = next(iter(outlooks.values())).spike_threshold_usd_per_mwh
    opinions = {model: opinion_of(outlook) for model, outlook in (sound or outlooks).items()} | dict(more)
    known = known_ahead(history)
    said = with_known(blended(record, opinions, history.step_seconds), known, threshold)
    steps = said[PRICE].shape[1]
    claim = claim_of(opinions | {BLEND: said}, region.memory.end, history.step_seconds, threshold, known.size)
    forecast = GridForecast(
        region=region.name,
        origin=history.origin,
        step_seconds=history.step_seconds,
        price_usd_per_mwh=_quantiles(said[PRICE]),
        price_known_steps=min(known.size, steps),
        carbon_g_per_kwh=_quantiles(said[CARBON]),
        carbon_basis=region.memory.carbon_basis,
        spike_probability=tuple(said[SPIKE][0].tolist()),
        spike_threshold_usd_per_mwh=threshold,
        price_models=_weights(record, opinions, PRICE),
        carbon_models=_weights(record, opinions, CARBON),
        skill=skill(record),
        degraded=not sound,
        replay=region.replay,
    )
    return replace(passed(region), record=replace(record, claims=(*record.claims, claim))), forecast


def _weights(record: Record, opinions: Mapping[str, Opinion], signal: str) -> dict[str, float]:
    speak = tuple(model for model, opinion in opinions.items() if signal in opinion)
    means = weights(record, speak, signal)[:, : BLOCK_HOURS.index(WEIGHED_HOURS) + 1].mean(axis=1)
    return dict(zip(speak, means.tolist(), strict=True))


def _quantiles(rows: Array) -> Quantiles:
    p10, p50, p90 = (tuple(row.tolist()) for row in rows)
    return Quantiles(p10=p10, p50=p50, p90=p90)
