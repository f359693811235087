"""The forecast that the service would have published, out of what its models said from each origin of a tape. Pure."""

import time
from collections.abc import Mapping

import numpy as np

from carbonshift.backtest.forecasts.hearing import Hearing
from carbonshift.backtest.forecasts.rolling import Run
from carbonshift.forecast.forecaster import Array, Bands, Outlook
from carbonshift.forecast.opinion import CARBON, PRICE, SPIKE
from carbonshift.forecast.panel import verdict
from carbonshift.forecast.record import BLEND, Record

__all__ = ["blended_run"]


def blended_run(
    heard: Hearing, window: int, runs: Mapping[str, Run], thresholds_usd_per_mwh: Array, *, day_ahead: bool
) -> Run:
    """The service's own step from origin to origin; its seconds are those of the models and its own together.

    Args:
        heard: the tape.
        window: intervals of history.
        runs: of the service's models, the one to trust first in front, all from the same origins.
        thresholds_usd_per_mwh: above which a price is a spike, of the shape (origins,).
        day_ahead: whether published prices are heard.
    """
    origins = next(iter(runs.values())).origins
    steps = next(iter(runs.values())).spike_probability.shape[1]
    said = {PRICE: np.empty((origins.size, 3, steps)), CARBON: np.empty((origins.size, 3, steps))}
    spike, seconds = np.empty((origins.size, steps)), np.empty(origins.size)
    degraded = np.empty(origins.size, dtype=np.bool_)
    record = Record()
    for at, origin in enumerate(origins):
        history = heard.history(int(origin), window, steps, day_ahead=day_ahead)
        outlooks = {model: _outlook(run, at, float(thresholds_usd_per_mwh[at])) for model, run in runs.items()}
        began = time.perf_counter()
        found = verdict(record, history, outlooks, {})
        seconds[at] = time.perf_counter() - began + sum(run.seconds[at] for run in runs.values())
        record, degraded[at], spike[at] = found.record, found.degraded, found.said[SPIKE][0]
        for signal, rows in said.items():
            rows[at] = found.said[signal]
    return Run(
        model=BLEND,
        origins=origins,
        price_usd_per_mwh=_bands(said[PRICE]),
        carbon_g_per_kwh=_bands(said[CARBON]),
        spike_probability=spike,
        seconds=seconds,
        degraded=degraded,
    )


def _outlook(run: Run, at: int, threshold_usd_per_mwh: float) -> Outlook:
    def bands(of: Bands) -> Bands:
        return Bands(p10=of.p10[at], p50=of.p50[at], p90=of.p90[at])

    return Outlook(
        price_usd_per_mwh=bands(run.price_usd_per_mwh),
        carbon_g_per_kwh=bands(run.carbon_g_per_kwh),
        spike_probability=run.spike_probability[at],
        spike_threshold_usd_per_mwh=threshold_usd_per_mwh,
        degraded=bool(run.degraded[at]),
    )


def _bands(rows: Array) -> Bands:
    return Bands(p10=rows[:, 0], p50=rows[:, 1], p90=rows[:, 2])
