"""The step of a region: a tick makes it remember, an outlook makes it speak. Pure."""

from dataclasses import dataclass, field, replace

from carbonshift.common.events import GridForecast, GridTick, Quantiles, Replay
from carbonshift.forecast.cadence import Cadence
from carbonshift.forecast.forecaster import Bands, Outlook
from carbonshift.forecast.memory import Memory
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.skill import Claim, recent_mae, still_counted

__all__ = ["Region", "heard", "passed", "remembered", "told"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """All that a region's next forecast depends on."""

    name: str
    replay: Replay | None
    memory: Memory
    cadence: Cadence = field(default_factory=Cadence)
    claims: tuple[Claim, ...] = ()


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


def told(region: Region, model: str, outlook: Outlook) -> tuple[Region, GridForecast]:
    """The forecast that `outlook` makes, and the region after it is out."""
    history = region.memory.history()
    claim = Claim(model=model, origin=region.memory.end, p50_usd_per_mwh=outlook.price_usd_per_mwh.p50)
    forecast = GridForecast(
        region=region.name,
        origin=history.origin,
        step_seconds=history.step_seconds,
        price_usd_per_mwh=_quantiles(outlook.price_usd_per_mwh),
        carbon_g_per_kwh=_quantiles(outlook.carbon_g_per_kwh),
        carbon_basis=region.memory.carbon_basis,
        spike_probability=tuple(outlook.spike_probability.tolist()),
        spike_threshold_usd_per_mwh=outlook.spike_threshold_usd_per_mwh,
        models={model: 1.0},
        recent_mae_usd_per_mwh={model: recent_mae(region.claims, history).get(model)},
        degraded=outlook.degraded,
        replay=region.replay,
    )
    return replace(passed(region), claims=(*still_counted(region.claims, history), claim)), forecast


def _quantiles(bands: Bands) -> Quantiles:
    return Quantiles(p10=tuple(bands.p10.tolist()), p50=tuple(bands.p50.tolist()), p90=tuple(bands.p90.tolist()))
