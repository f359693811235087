"""What the service's step makes of what its models said from each origin of a tape. Pure.

It differs from what the live service publishes: its evidence begins with the first origin and comes from each origin of
the evaluation, not from every 15 minutes (`CARBONSHIFT_EVERY_SECONDS`); the horizon is the one evaluated, not
`CARBONSHIFT_HORIZON_SECONDS`; its models are those of `CARBONSHIFT_FORECASTERS` that are evaluated and not slow; and
more opinions than theirs it has with `--propose` alone.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np

from carbonshift.backtest.forecasts.hearing import Hearing
from carbonshift.backtest.forecasts.rolling import Run
from carbonshift.forecast.forecaster import Array, Bands, History, Outlook
from carbonshift.forecast.opinion import SIGNALS, Opinion, opinion_of
from carbonshift.forecast.panel import verdict
from carbonshift.forecast.record import BLEND, Record

__all__ = ["Propose", "blended_runs"]

Propose = Callable[[History, Outlook], Outlook | None]
"""What somebody proposes who is shown the outlook of the model that is trusted first; None where it is nothing."""


def blended_runs(
    heard: Hearing,
    window: int,
    runs: Mapping[str, Run],
    thresholds_usd_per_mwh: Array,
    *,
    day_ahead: bool,
    proposer: tuple[str, Propose] | None = None,
) -> dict[str, Run]:
    """The service's own step from origin to origin, and what was proposed, where anything was.

    The seconds of the service's are those of its models and its own together.

    Args:
        heard: the tape.
        window: intervals of history.
        runs: of the service's models, the one to trust first in front, all from the same origins.
        thresholds_usd_per_mwh: above which a price is a spike, of the shape (origins,).
        day_ahead: whether published prices are heard.
        proposer: its name, and whom to ask.
    """
    origins = next(iter(runs.values())).origins
    steps = next(iter(runs.values())).spike_probability.shape[1]
    blend, proposals = _Gathered(BLEND), _Gathered(proposer[0] if proposer else "")
    record = Record()
    for at, origin in enumerate(origins):
        history = heard.history(int(origin), window, steps, day_ahead=day_ahead)
        outlooks = {model: _outlook(run, at, float(thresholds_usd_per_mwh[at])) for model, run in runs.items()}
        began = time.perf_counter()
        more = {}
        baseline = next(iter(outlooks.values()))
        proposal = proposer[1](history, baseline) if proposer and not baseline.degraded else None
        if proposal is not None:
            more[proposals.model] = opinion_of(proposal)
            proposals.add(origin, more[proposals.model], time.perf_counter() - began, degraded=False)
        found = verdict(record, history, outlooks, more)
        record = found.record
        seconds = time.perf_counter() - began + sum(float(run.seconds[at]) for run in runs.values())
        blend.add(origin, found.said, seconds, degraded=found.degraded)
    return {gathered.model: gathered.run() for gathered in (blend, proposals) if gathered.origins}


class _Gathered:
    """One model's forecasts, origin by origin."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.origins: list[int] = []
        self._said: list[Opinion] = []
        self._seconds: list[float] = []
        self._degraded: list[bool] = []

    def add(self, origin: int, said: Opinion, seconds: float, *, degraded: bool) -> None:
        self.origins.append(origin)
        self._said.append(said)
        self._seconds.append(seconds)
        self._degraded.append(degraded)

    def run(self) -> Run:
        price, carbon, spike = (np.stack([said[signal] for said in self._said]) for signal in SIGNALS)
        return Run(
            model=self.model,
            origins=np.array(self.origins, dtype=np.int64),
            price_usd_per_mwh=_bands(price),
            carbon_g_per_kwh=_bands(carbon),
            spike_probability=spike[:, 0],
            seconds=np.array(self._seconds),
            degraded=np.array(self._degraded, dtype=np.bool_),
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
