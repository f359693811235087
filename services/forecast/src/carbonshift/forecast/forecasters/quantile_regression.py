"""The three quantiles of each step ahead, each regressed by itself on what is known at the origin."""

from typing import ClassVar

import numpy as np
from statsmodels.regression.quantile_regression import QuantReg

from carbonshift.forecast.candidate import Candidate
from carbonshift.forecast.forecaster import Array
from carbonshift.forecast.scaled import Scaled, day_cycle
from carbonshift.forecast.scores import QUANTILES

__all__ = ["QuantileRegressionForecaster"]

HARMONICS = 3
MOST_ITERATIONS = 40
TOLERANCE = 1e-3
"""In the scaled unit: a tenth of a percent of the middle half of the signal."""


class QuantileRegressionForecaster(Candidate):
    """statsmodels' QuantReg of each step on the last values, the value of a day before and Fourier terms of the day.

    All of it on asinh-scaled values, fitted anew each time; a history of steps below an hour is thinned to that. The
    futures are what the middle quantile has missed by, as wide as the outer two are apart now.

    Source: Koenker and Bassett (1978), Regression Quantiles, Econometrica 46.
    """

    name: ClassVar[str] = "quantile-regression"

    def fit(self, series: Scaled) -> Array:
        """See Candidate."""
        day = day_cycle(series, HARMONICS if series.day >= 2 * HARMONICS else 0)
        return np.column_stack([_step(series, day, step) for step in range(series.steps)])


def _step(series: Scaled, day: Array, step: int) -> Array:
    """Futures of the step so many after the first; origin `at` has seen the values before it."""
    values, size = series.values, series.values.size
    behind = series.day * -(-(step + 1) // series.day)
    origins = np.append(np.arange(behind, size - series.steps + 1), size)
    targets = origins + step
    known = np.column_stack(
        (np.ones(origins.size), values[origins - 1], values[origins - 2], values[targets - behind], day[targets])
    )
    actual = values[targets[:-1]]
    low, middle, high = (
        known @ QuantReg(actual, known[:-1]).fit(q=quantile, max_iter=MOST_ITERATIONS, p_tol=TOLERANCE).params
        for quantile in QUANTILES
    )
    width = np.maximum(high - low, 1e-6)
    futures: Array = middle[-1] + width[-1] * (actual - middle[:-1]) / width[:-1]
    return futures
