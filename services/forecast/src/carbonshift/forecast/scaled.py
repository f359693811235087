"""A signal as a statistical model takes it: on the asinh scale, without holes, in steps that can be fitted. Pure."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

import numpy as np

from carbonshift.forecast.each_signal import Tell, Told, bridged
from carbonshift.forecast.forecaster import Array, History
from carbonshift.forecast.scenarios import bands

__all__ = [
    "DAY_SECONDS",
    "Scaled",
    "asinh_scale",
    "day_cycle",
    "deseasonalised",
    "smoothed",
    "spread",
    "told_by",
]

DAY_SECONDS = 86_400
SHORTEST_DAYS = 14
"""Less does not tell a cycle of the day from chance, and is not worth a fit."""
LEAST_KNOWN = 0.5
BURN_IN = 24
"""The first levels of a smoothing still hang on where it began."""
DITHER = 1e-4
"""Noise in the scaled unit: without it a stretch that stands still has no one fit."""
PERCENTILES = np.array([NormalDist().inv_cdf(percent / 100) for percent in range(1, 100)])
"""Of the standard normal distribution: that many futures stand for the whole."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaled:
    """One signal on the asinh scale, regular, without a gap, its newest value last."""

    values: Array
    """Of the shape (n,)."""
    start: int
    """Unix second at which the first interval starts."""
    step_seconds: int
    steps: int
    """How many to look ahead."""

    @property
    def day(self) -> int:
        """How many steps a day has."""
        return round(DAY_SECONDS / self.step_seconds)


Fit = Callable[[Scaled], Array]
"""A model: equally likely futures on the asinh scale, of the shape (futures, steps). May raise LinAlgError, ValueError
and any warning where it does not fit."""


def deseasonalised(series: Scaled, season: Callable[[Scaled], Array]) -> tuple[Array, Array]:
    """The values without their season of the day, and the season of the steps ahead: as on the last day.

    Args:
        series: of any steps; in steps of a day there is no season.
        season: of each value, in the scaled unit.
    """
    seasonal = season(series) if series.day > 1 else np.zeros(series.values.size)
    return series.values - seasonal, np.resize(seasonal[-series.day :], series.steps)


def told_by(fit: Fit, finest_seconds: int = 3_600) -> Tell:
    """What `fit` tells of a signal.

    A history of finer steps is thinned to steps of `finest_seconds`, every so many-th value taken, the newest among
    them; between two steps ahead the middle of the futures goes straight and their spread with the root of time. A
    future stays within the range of the history. Nothing is told from less than fourteen days, from less than half of
    them known, of a signal that never moved, or where the model does not fit.
    """

    def tell(values: Array, history: History, steps: int) -> Told | None:
        known = np.mean(~np.isnan(values))
        whole = bridged("the signal", values)
        long_enough = values.size * history.step_seconds >= SHORTEST_DAYS * DAY_SECONDS
        flat = np.ptp(whole) <= 1e-9 * np.abs(whole).max()
        if flat or not long_enough or known < LEAST_KNOWN:
            return None
        centre, width = asinh_scale(whole)
        scaled = np.arcsinh((whole - centre) / width)
        thinning = max(1, finest_seconds // history.step_seconds)
        series = _thinned(scaled, history, steps, thinning)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # a fit that has not converged is judged by its futures like any other
                coarse = fit(series)
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
            return None
        if not np.isfinite(coarse).all():
            return None
        fine = _between(scaled[-1], coarse, steps, thinning)
        futures = centre + width * np.sinh(np.clip(fine, scaled.min(), scaled.max()))
        return Told(bands=bands(futures), futures=futures)

    return tell


def spread(middle: Array, deviation: Array) -> Array:
    """The percentiles of a normal distribution at each step, of the shape (99, steps).

    Args:
        middle: shape (steps,).
        deviation: its standard deviation, of the same shape and unit.
    """
    futures: Array = middle + np.multiply.outer(PERCENTILES, deviation)
    return futures


def smoothed(adjusted: Array, alpha: float, middle: Array) -> Array:
    """Futures around `middle`: what the levels of an exponential smoothing have missed by; shape (n - steps, steps).

    Args:
        adjusted: shape (n,), n > steps: values without their season.
        alpha: the smoothing, in (0, 1].
        middle: shape (steps,), with the season.
    """
    levels = np.array(list(accumulate(adjusted, lambda level, value: level + alpha * (value - level))))
    ahead = np.lib.stride_tricks.sliding_window_view(adjusted[1:], middle.size)
    missed = ahead - levels[: ahead.shape[0], None]
    futures: Array = middle + missed[BURN_IN:]
    return futures


def day_cycle(series: Scaled, harmonics: int) -> Array:
    """Sines and cosines of the UTC day, those of the steps ahead included, of the shape (n + steps, 2 x harmonics)."""
    seconds = series.start + series.step_seconds * np.arange(series.values.size + series.steps)
    angles = 2 * np.pi / DAY_SECONDS * (seconds % DAY_SECONDS)[:, None] * np.arange(1, harmonics + 1)
    return np.hstack((np.sin(angles), np.cos(angles)))


def _thinned(scaled: Array, history: History, steps: int, thinning: int) -> Scaled:
    values = scaled[(scaled.size - 1) % thinning :: thinning]
    step_seconds = history.step_seconds * thinning
    return Scaled(
        values=values + np.random.default_rng(0).normal(0.0, DITHER, values.size),
        start=int(history.origin.timestamp()) - values.size * step_seconds,
        step_seconds=step_seconds,
        steps=-(-steps // thinning),
    )


def _between(newest: float, coarse: Array, steps: int, thinning: int) -> Array:
    """Futures at every step out of those at every `thinning`-th; of the shape (futures, steps)."""
    if thinning == 1:
        return coarse
    knots = np.arange(coarse.shape[1] + 1)
    at = np.arange(1, steps + 1) / thinning
    middle = np.median(coarse, axis=0)
    centre = np.interp(at, knots, np.concatenate(([newest], middle)))
    apart = np.hstack((np.zeros((coarse.shape[0], 1)), coarse - middle))
    roots, found = np.sqrt(at), np.sqrt(knots)
    after = np.clip(np.searchsorted(found, roots), 1, knots[-1])
    share = (roots - found[after - 1]) / (found[after] - found[after - 1])
    futures: Array = centre + apart[:, after - 1] * (1 - share) + apart[:, after] * share
    return futures


def asinh_scale(values: Array) -> tuple[float, float]:
    """Median and a width of the middle; the standard deviation where the middle half of a signal stands still."""
    low, middle, high = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    width = high - low
    deviation = float(values.std())
    return middle, width if width > deviation * 1e-3 else deviation
