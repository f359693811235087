"""The evaluation of all models on one tape, as plain data."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from carbonshift.backtest.forecasts.blending import Propose, blended_runs
from carbonshift.backtest.forecasts.figures import SIGNALS, Judged, figures_of
from carbonshift.backtest.forecasts.hearing import Hearing, hearing
from carbonshift.backtest.forecasts.models import is_slow
from carbonshift.backtest.forecasts.origins import Rolling, origins_of
from carbonshift.backtest.forecasts.rolling import Progress, rolled
from carbonshift.backtest.recorded import Recorded
from carbonshift.common.events import rfc3339
from carbonshift.forecast.forecaster import History, Outlook
from carbonshift.forecast.proposer import Proposer
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.spike import spike_threshold

__all__ = ["Options", "evaluation"]

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is evaluated."""

    models: tuple[str, ...]
    """The baselines among them."""
    horizon_seconds: float
    every: int | None = None
    """Intervals between two origins; None: see `origins_of`."""
    slow_every: int = 7
    start: datetime | None = None
    end: datetime | None = None
    day_ahead: bool = False
    """Whether the models hear published prices."""
    jobs: int = 1
    proposer: Proposer | None = None
    """Is asked from each origin from which the service would ask."""


def evaluation(recording: Recorded, settings: ForecastSettings, options: Options, progress: Progress) -> dict[str, Any]:
    """The section of one tape in the document; what is not known is None.

    Raises: InputError where the tape leaves no origin; CarbonShiftError where a worker process ends by itself.
    """
    heard = hearing(recording)
    rolling = origins_of(
        heard,
        history_seconds=settings.history_seconds,
        horizon_seconds=options.horizon_seconds,
        every=options.every,
        slow_every=options.slow_every,
        start=options.start,
        end=options.end,
    )
    runs = rolled(
        heard,
        rolling.window,
        rolling.steps,
        {model: rolling.slow_origins if is_slow(model) else rolling.origins for model in options.models},
        settings,
        day_ahead=options.day_ahead,
        jobs=options.jobs,
        progress=progress,
    )
    thresholds = _thresholds(heard, rolling)
    own = {model: runs[model] for model in settings.forecasters if model in runs and not is_slow(model)}
    if len(own) > 1:
        with _proposing(options, recording) as proposer:
            runs |= blended_runs(heard, rolling.window, own, thresholds, day_ahead=options.day_ahead, proposer=proposer)
    ahead = rolling.origins[:, None] + np.arange(rolling.steps)
    judged = Judged(
        step_seconds=heard.step_seconds,
        every=rolling.every,
        origins=rolling.origins,
        actual={signal: heard.actual[row][ahead] for row, signal in enumerate(SIGNALS)},
        spike_thresholds_usd_per_mwh=thresholds,
        runs=runs,
    )
    sidecar = recording.tape.sidecar
    section: dict[str, Any] = _plain(
        {
            "tape": recording.name,
            "region": sidecar.region,
            "from": rfc3339(recording.first),
            "to": rfc3339(recording.moment(heard.size)),
            "step_seconds": heard.step_seconds,
            "carbon_basis": sidecar.carbon_basis.value,
            "price_market": sidecar.price_market.value,
            "history_days": rolling.window * heard.step_seconds / DAY_SECONDS,
            "horizon_seconds": rolling.steps * heard.step_seconds,
            "steps": rolling.steps,
            "every": rolling.every,
            "slow_every": rolling.slow_every,
            "origins": rolling.origins.size,
            "first_origin": rfc3339(heard.moment(int(rolling.origins[0]))),
            "last_origin": rfc3339(heard.moment(int(rolling.origins[-1]))),
            "day_ahead_known": options.day_ahead and bool(recording.published),
            "published_share": float(np.mean([heard.known(int(at), rolling.steps) for at in rolling.origins])),
            "models": figures_of(judged),
        }
    )
    return section


def _thresholds(heard: Hearing, rolling: Rolling) -> np.ndarray[Any, np.dtype[np.float64]]:
    histories = (heard.history(int(at), rolling.window, rolling.steps, day_ahead=False) for at in rolling.origins)
    return np.array([spike_threshold(history) for history in histories])


def _plain(value: Any) -> Any:
    """As JSON has it: what is not finite is None."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _proposing(options: Options, recording: Recorded) -> Iterator[tuple[str, Propose] | None]:
    """Whom to ask, as the service does."""
    proposer = options.proposer
    if proposer is None:
        yield None
        return
    sidecar = recording.tape.sidecar
    with asyncio.Runner() as runner:

        def propose(history: History, baseline: Outlook) -> Outlook | None:
            return runner.run(proposer.propose(sidecar.region, history, baseline, sidecar.carbon_basis))

        try:
            yield proposer.name, propose
        finally:
            runner.run(proposer.close())
