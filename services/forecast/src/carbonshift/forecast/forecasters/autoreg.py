"""An autoregression with a daily cycle, whose spread is what its own past forecasts missed by."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from statsmodels.tsa.ar_model import AutoReg

from carbonshift.forecast.each_signal import Told, bridged, outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.scaled import asinh_scale
from carbonshift.forecast.scenarios import bands
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["AutoRegForecaster"]

DAY_SECONDS = 86_400
SHORT_LAGS = (1, 2, 3)
LONG_LAGS_SECONDS = (1_800, 3_600, 7_200)
MOST_HARMONICS = 6
STEPS_PER_HARMONIC = 8
"""A day of fewer steps has fewer harmonics: hourly steps have three."""
WINDOW_SECONDS = 14 * DAY_SECONDS
"""Of a longer history the end: cycles and levels of a season before are no longer true."""
SHORTEST_SECONDS = 2 * DAY_SECONDS
"""One day alone cannot tell a daily cycle from chance."""
ROWS_PER_PARAMETER = 4
MOST_FUTURES = 1_000
DITHER = 1e-4
"""Noise in the scaled unit, for fitting alone: without it a stretch that stands still or repeats has no one fit."""


class AutoRegForecaster:
    """Price and carbon, each on its own: statsmodels' AutoReg on asinh-scaled values with Fourier terms of the day.

    Lags, harmonics and window were chosen on a year of 5-minute real-time prices and checked on hourly markets.
    Missing values are bridged on a straight line, and held at both ends, for fitting alone: what a forecast missed
    by is never taken from a stretch of which less than half was known. With a history too short, with too little of
    it known, or with a signal that has not moved at all, the last value and its past moves stand in, and the outlook is
    `degraded`; so it is when the newest known value is older than an hour. A future stays within the range of the
    history: a fit to a storm extrapolates it, and did worse than one that does not, in scarcity most of all.
    """

    name: ClassVar[str] = "autoreg"

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        return outlook(history, steps, _tell, _tell)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Which past values and which cycles of the day explain the next one."""

    lags: tuple[int, ...]
    harmonics: int

    @classmethod
    def for_step(cls, step_seconds: int) -> "_Shape":
        long_lags = {seconds // step_seconds for seconds in LONG_LAGS_SECONDS} - {0}
        return cls(
            lags=tuple(sorted({*SHORT_LAGS, *long_lags})),
            harmonics=min(MOST_HARMONICS, DAY_SECONDS // step_seconds // STEPS_PER_HARMONIC),
        )

    @property
    def reach(self) -> int:
        return self.lags[-1]

    @property
    def parameters(self) -> int:
        return 1 + len(self.lags) + 2 * self.harmonics


def _tell(values: Array, history: History, steps: int) -> Told | None:
    values = values[-(WINDOW_SECONDS // history.step_seconds) :]
    known = ~np.isnan(values)
    shape = _Shape.for_step(history.step_seconds)
    fewest = max(SHORTEST_SECONDS // history.step_seconds, shape.reach + steps + ROWS_PER_PARAMETER * shape.parameters)
    if known.sum() < fewest:
        return None
    whole = bridged("the signal", values)
    if np.ptp(whole) <= 1e-9 * np.abs(whole).max():
        return None
    futures = _fitted_futures(whole, known, history, steps, shape)
    return Told(bands=bands(futures), futures=futures)


def _fitted_futures(whole: Array, known: NDArray[np.bool_], history: History, steps: int, shape: _Shape) -> Array:
    """Of the shape (futures, steps): the path from here, shifted by what each path from the past missed by.

    The paths from one half of the past are those of a model that was fitted to the other half: what a model has
    learned by heart it does not miss, and its spread would come out too narrow.
    """
    size = whole.size
    centre, scale = asinh_scale(whole)
    scaled = np.arcsinh((whole - centre) / scale)
    start = int(history.origin.timestamp()) - size * history.step_seconds
    day = _day_cycle(start, history.step_seconds, size + steps, shape.harmonics)
    limits = float(scaled.min()), float(scaled.max())
    origins = _past_origins(known, steps, shape.reach)
    actual = np.lib.stride_tricks.sliding_window_view(scaled, steps)
    older, newer, all_of_it = slice(0, size // 2), slice(size // 2, size), slice(0, size)
    missed = []
    for fitted_to, told in ((newer, origins[origins < size // 2]), (older, origins[origins >= size // 2])):
        model = _Model.fit(scaled, day, fitted_to, shape)
        missed.append(actual[told] - model.paths(scaled, told, steps, limits))
    path = _Model.fit(scaled, day, all_of_it, shape).paths(scaled, np.array([size]), steps, limits)
    futures: Array = centre + scale * np.sinh(np.clip(path + np.concatenate(missed), *limits))
    return futures


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    lags: tuple[int, ...]
    weights: Array
    """One for each lag."""
    season: Array
    """What each interval has by its time of day, those ahead included."""

    @classmethod
    def fit(cls, scaled: Array, day: Array, part: slice, shape: _Shape) -> "_Model":
        exog = day[part] if shape.harmonics else None
        values = scaled[part] + np.random.default_rng(0).normal(0.0, DITHER, scaled[part].size)
        found = AutoReg(values, lags=list(shape.lags), exog=exog).fit().params
        constant, weights, cycle = found[0], found[1 : 1 + len(shape.lags)], found[1 + len(shape.lags) :]
        return cls(lags=shape.lags, weights=weights, season=constant + day @ cycle)

    def paths(self, scaled: Array, origins: NDArray[np.int64], steps: int, limits: tuple[float, float]) -> Array:
        """From each origin on, of the shape (origins, steps), kept within the limits."""
        reach = self.lags[-1]
        window = np.empty((reach + steps, origins.size))
        window[:reach] = scaled[origins + np.arange(-reach, 0)[:, None]]
        for ahead in range(steps):
            value = self.season[origins + ahead]
            for lag, weight in zip(self.lags, self.weights, strict=True):
                value = value + weight * window[reach + ahead - lag]
            window[reach + ahead] = np.clip(value, *limits)
        return window[reach:].T


def _day_cycle(start: int, step_seconds: int, size: int, harmonics: int) -> Array:
    """Sines and cosines of the UTC day, of the shape (size, 2 x harmonics)."""
    turn = 2 * np.pi / DAY_SECONDS * ((start + step_seconds * np.arange(size)) % DAY_SECONDS)
    angles = turn[:, None] * np.arange(1, harmonics + 1)
    return np.hstack((np.sin(angles), np.cos(angles)))


def _past_origins(known: NDArray[np.bool_], steps: int, reach: int) -> NDArray[np.int64]:
    """Where a forecast could have started whose every step has passed: the better known half-windows, thinned out."""
    share = np.lib.stride_tricks.sliding_window_view(known, steps)[reach:].mean(axis=1)
    origins = reach + np.flatnonzero(share >= min(0.5, share.max()))
    return origins[:: -(-origins.size // MOST_FUTURES)]
