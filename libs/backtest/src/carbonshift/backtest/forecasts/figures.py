"""What the runs of several models come to, each beside the baselines from the same origins. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.forecasts.models import BASELINES
from carbonshift.backtest.forecasts.rolling import Run
from carbonshift.forecast.forecaster import Array, Bands
from carbonshift.forecast.scores import (
    average_precision,
    brier,
    coverage,
    diebold_mariano,
    mae,
    mean_known,
    mean_pinball,
    reliability,
)

__all__ = ["SIGNALS", "Judged", "figures_of"]

HOUR_SECONDS = 3_600
CUT_MINUTES = (60, 120, 180)
SPIKE_MINUTES = (60, 240)
SIGNALS = ("price", "carbon")
SEASONAL = "seasonal-naive"
PERSISTENCE = "persistence"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Judged:
    """Runs from origins of one tape, and what came."""

    step_seconds: int
    every: int
    """Intervals between two neighbouring origins of the whole grid of them."""
    origins: NDArray[np.int64]
    """All of them, of the shape (n,); each run has these, or some of these."""
    actual: Mapping[str, Array]
    """Of each signal, of the shape (n, steps); NaN where the tape has none."""
    spike_thresholds_usd_per_mwh: Array
    """What a price must exceed to be a spike, of the shape (n,)."""
    runs: Mapping[str, Run]
    """By model; the baselines are among them, from every origin."""

    @property
    def steps(self) -> int:
        """How many lie ahead of each origin."""
        return int(self.actual["price"].shape[1])

    @property
    def spikes(self) -> Array:
        """1 where the price was one, 0 where not, NaN where it is not known; of the shape (n, steps)."""
        price = self.actual["price"]
        return np.where(np.isnan(price), np.nan, price > self.spike_thresholds_usd_per_mwh[:, None])

    def places(self, *models: str) -> NDArray[np.intp]:
        """The places, among all origins, of those that all these models have."""
        shared = np.logical_and.reduce([np.isin(self.origins, self.runs[model].origins) for model in models])
        return np.flatnonzero(shared)

    def bands(self, model: str, signal: str, places: NDArray[np.intp]) -> Bands:
        """What it said from the origins at these places."""
        run, rows = self.runs[model], self._rows(model, places)
        said = run.price_usd_per_mwh if signal == "price" else run.carbon_g_per_kwh
        return Bands(p10=said.p10[rows], p50=said.p50[rows], p90=said.p90[rows])

    def probability(self, model: str, places: NDArray[np.intp]) -> Array:
        """Of a spike, from the origins at these places."""
        return self.runs[model].spike_probability[self._rows(model, places)]

    def _rows(self, model: str, places: NDArray[np.intp]) -> NDArray[np.intp]:
        rows: NDArray[np.intp] = np.searchsorted(self.runs[model].origins, self.origins[places])
        return rows


def figures_of(judged: Judged) -> dict[str, Any]:
    """All figures of each model, by name; what is not known is NaN."""
    return {
        model: {
            "origins": int(run.origins.size),
            "degraded_share": float(run.degraded.mean()),
            "seconds": {"median": float(np.median(run.seconds)), "p99": float(np.quantile(run.seconds, 0.99))},
            **{signal: _signal(judged, model, signal) for signal in SIGNALS},
            "spikes": _spikes(judged, model),
        }
        for model, run in judged.runs.items()
    }


def _signal(judged: Judged, model: str, signal: str) -> dict[str, Any]:
    places = judged.places(model)
    actual, said = judged.actual[signal][places], judged.bands(model, signal, places)
    rivals = {name: judged.bands(name, signal, places) for name in BASELINES}
    loss = mean_known(mean_pinball(actual, said))
    rival_losses = {name: mean_known(mean_pinball(actual, rival)) for name, rival in rivals.items()}
    error = mae(actual, said.p50)
    return {
        "mae": error,
        "rmae": _ratio(error, mae(actual, rivals[SEASONAL].p50)),
        "pinball": loss,
        "pinball_ratio": _ratio(loss, min(rival_losses.values())),
        "coverage": coverage(actual, said.p10, said.p90),
        "coverage_by_hour": [
            coverage(actual[:, block], said.p10[:, block], said.p90[:, block]) for block in _hours(judged)
        ],
        "mae_by_step": [mae(actual[:, step], said.p50[:, step]) for step in range(judged.steps)],
        "cut_against_persistence": {
            str(minutes): 1.0
            - _ratio(mae(actual[:, step], said.p50[:, step]), mae(actual[:, step], rivals[PERSISTENCE].p50[:, step]))
            for minutes, step in _leads(judged, CUT_MINUTES)
        },
        "diebold_mariano": _tests(judged, model, signal),
    }


def _hours(judged: Judged) -> list[slice]:
    """The steps that begin in each hour ahead; an hour in which none does is left out."""
    hours = np.arange(judged.steps) * judged.step_seconds // HOUR_SECONDS
    return [slice(int(own[0]), int(own[-1]) + 1) for own in (np.flatnonzero(hours == h) for h in np.unique(hours))]


def _leads(judged: Judged, minutes: Sequence[int]) -> list[tuple[int, int]]:
    """Each lead time and the step that ends with it, where there is one."""
    steps = [(lead, lead * 60 / judged.step_seconds) for lead in minutes]
    return [(lead, int(at) - 1) for lead, at in steps if at == int(at) and 1 <= at <= judged.steps]


def _tests(judged: Judged, model: str, signal: str) -> dict[str, Any]:
    """Against seasonal-naive, and against the one of all others that loses least on the origins shared with it."""
    others = [name for name in judged.runs if name != model]
    best = min(others, key=lambda name: _lost_to(judged, model, name, signal))
    rivals = {"best_other": best} if model == SEASONAL else {SEASONAL: SEASONAL, "best_other": best}
    return {key: {"rival": rival, **_compared(judged, model, rival, signal)} for key, rival in rivals.items()}


def _lost_to(judged: Judged, model: str, rival: str, signal: str) -> float:
    """The rival's loss as a share of the model's, on the origins they share."""
    places = judged.places(model, rival)
    actual = judged.actual[signal][places]
    own, other = (mean_known(mean_pinball(actual, judged.bands(name, signal, places))) for name in (model, rival))
    share = _ratio(other, own)
    return math.inf if math.isnan(share) else share


def _compared(judged: Judged, model: str, rival: str, signal: str) -> dict[str, Any]:
    """By both losses, each averaged over the steps of an origin: negative differences are in the model's favour."""
    places = judged.places(model, rival)
    actual = judged.actual[signal][places]
    own, other = (judged.bands(name, signal, places) for name in (model, rival))
    spacing = int(np.min(np.diff(judged.origins[places]))) if places.size > 1 else judged.every
    overlap = -(-judged.steps // spacing)
    return {
        "pinball": asdict(
            diebold_mariano(_by_origin(mean_pinball(actual, own)), _by_origin(mean_pinball(actual, other)), overlap)
        ),
        "absolute_error": asdict(
            diebold_mariano(_by_origin(np.abs(actual - own.p50)), _by_origin(np.abs(actual - other.p50)), overlap)
        ),
    }


def _by_origin(losses: Array) -> Array:
    known = ~np.isnan(losses)
    counts = known.sum(axis=1)
    sums = np.where(known, losses, 0.0).sum(axis=1)
    means: Array = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)
    return means


def _spikes(judged: Judged, model: str) -> dict[str, Any]:
    places = judged.places(model)
    occurred, said = judged.spikes[places], judged.probability(model, places)
    rivals = {name: judged.probability(name, places) for name in BASELINES}
    by_lead = {}
    for minutes, step in _leads(judged, SPIKE_MINUTES):
        own = average_precision(occurred[:, step], said[:, step])
        best = max(average_precision(occurred[:, step], rival[:, step]) for rival in rivals.values())
        by_lead[str(minutes)] = {
            "base_rate": mean_known(occurred[:, step]),
            "average_precision": own,
            "ratio": _ratio(own, best),
        }
    return {
        "by_lead": by_lead,
        "brier": brier(occurred, said),
        "reliability": [asdict(each) for each in reliability(occurred, said)],
    }


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan
