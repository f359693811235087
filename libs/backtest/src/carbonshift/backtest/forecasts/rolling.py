"""Forecasts of several models from many origins of a tape, in worker processes."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.forecasts.hearing import Hearing
from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.plugins import load_plugin
from carbonshift.forecast.forecaster import Array, Bands, Forecaster
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["GROUP", "Progress", "Run", "rolled"]

GROUP = "carbonshift.forecasters"
CHUNK = 10
"""Origins of one task: an interruption waits for no more than these."""
QUANTITIES = 7
"""Three quantiles of price, three of carbon, and the probability of a spike."""

Numbers = NDArray[np.int64]
Progress = Callable[[str, float], None]
"""Told which model was at work and what share of all is done."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Run:
    """What one model said from each of its origins; arrays of the shape (origins, steps)."""

    model: str
    origins: Numbers
    price_usd_per_mwh: Bands
    carbon_g_per_kwh: Bands
    spike_probability: Array
    seconds: Array
    """How long each forecast took, of the shape (origins,)."""
    degraded: NDArray[np.bool_]
    """Of the shape (origins,)."""


def rolled(
    heard: Hearing,
    window: int,
    steps: int,
    models: Mapping[str, Numbers],
    settings: ForecastSettings,
    *,
    day_ahead: bool,
    jobs: int,
    progress: Progress,
) -> dict[str, Run]:
    """A run of each model from its origins.

    Args:
        heard: the tape.
        window: intervals of history.
        steps: how many ahead.
        models: registered ones, each with its origins.
        settings: of the service, for the models.
        day_ahead: whether they hear published prices.
        jobs: worker processes, at least 1.
        progress: is told as each task is done.

    Raises: CarbonShiftError where a worker process ends by itself.
    """
    tasks = [
        (model, slice(at, at + CHUNK)) for model, origins in models.items() for at in range(0, origins.size, CHUNK)
    ]
    said = {model: np.empty((origins.size, QUANTITIES, steps)) for model, origins in models.items()}
    seconds = {model: np.empty(origins.size) for model, origins in models.items()}
    degraded = {model: np.empty(origins.size, dtype=np.bool_) for model, origins in models.items()}
    with _workers(jobs, heard, window, steps, settings, day_ahead) as pool:
        with _uninterrupted():
            running: dict[Future[tuple[Array, Array, NDArray[np.bool_]]], tuple[str, slice]] = {
                pool.submit(_forecasts, model, models[model][part]): (model, part) for model, part in tasks
            }
        for count, done in enumerate(as_completed(running), 1):
            model, part = running[done]
            said[model][part], seconds[model][part], degraded[model][part] = done.result()
            progress(model, count / len(tasks))
    return {
        model: Run(
            model=model,
            origins=origins,
            price_usd_per_mwh=_bands(said[model][:, :3]),
            carbon_g_per_kwh=_bands(said[model][:, 3:6]),
            spike_probability=said[model][:, 6],
            seconds=seconds[model],
            degraded=degraded[model],
        )
        for model, origins in models.items()
    }


def _bands(said: Array) -> Bands:
    return Bands(p10=said[:, 0], p50=said[:, 1], p90=said[:, 2])


@contextmanager
def _workers(
    jobs: int,
    heard: Hearing,
    window: int,
    steps: int,
    settings: ForecastSettings,
    day_ahead: bool,  # noqa: FBT001
) -> Iterator[ProcessPoolExecutor]:
    """Processes that begin anew, each with one thread for its linear algebra; gone when this ends, however it does."""
    threads = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # theirs: threads gain nothing on fits so small, and spin
    pool = ProcessPoolExecutor(
        jobs, get_context("spawn"), _begin, (_Surroundings(heard, window, steps, settings, day_ahead),)
    )
    try:
        yield pool
    except BrokenProcessPool as error:
        raise CarbonShiftError(
            "a worker process ended by itself", "make room in memory, or give fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        if threads is None:
            del os.environ["OPENBLAS_NUM_THREADS"]
        else:
            os.environ["OPENBLAS_NUM_THREADS"] = threads


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C comes after this; a process that is started meanwhile hears of it only once it has begun."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    heard: Hearing
    window: int
    steps: int
    settings: ForecastSettings
    day_ahead: bool


_surroundings: list[_Surroundings] = []
_made: dict[str, Forecaster] = {}


def _begin(surroundings: _Surroundings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all of the terminal: none of them has a word to say
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _surroundings.append(surroundings)


def _forecasts(model: str, origins: Numbers) -> tuple[Array, Array, NDArray[np.bool_]]:
    around = _surroundings[-1]
    forecaster = _made.get(model) or load_plugin(GROUP, model)(around.settings)
    _made[model] = forecaster
    said = np.empty((origins.size, QUANTITIES, around.steps))
    seconds, degraded = np.empty(origins.size), np.empty(origins.size, dtype=np.bool_)
    for row, origin in enumerate(origins.tolist()):
        history = around.heard.history(origin, around.window, around.steps, day_ahead=around.day_ahead)
        began = time.perf_counter()
        outlook = forecaster.predict(history, around.steps)
        seconds[row], degraded[row] = time.perf_counter() - began, outlook.degraded
        price, carbon = outlook.price_usd_per_mwh, outlook.carbon_g_per_kwh
        said[row] = (price.p10, price.p50, price.p90, carbon.p10, carbon.p50, carbon.p90, outlook.spike_probability)
    return said, seconds, degraded
