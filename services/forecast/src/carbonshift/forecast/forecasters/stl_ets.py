"""A season of the day by local regression, and exponential smoothing of what remains."""

from typing import ClassVar

import numpy as np
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.seasonal import STL

from carbonshift.forecast.each_signal import outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.scaled import Scaled, smoothed, told_by
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["StlEtsForecaster"]

SEASONAL_DAYS = 29
"""A shorter memory of the season learns the noise by heart: with 7 days 6 in 10 lay between p10 and p90."""
MOST_ITERATIONS = 50


class StlEtsForecaster:
    """statsmodels' STL and ETS (additive errors, no trend) on asinh-scaled values, fitted anew each time.

    A history of steps below half an hour is thinned to that. The season goes on as on the last day. Quantiles are those
    of what the smoothing has missed by; the season counts as known.

    Sources: Cleveland, Cleveland, McRae and Terpenning (1990), STL, Journal of Official Statistics 6; Hyndman, Koehler,
        Ord and Snyder (2008), Forecasting with Exponential Smoothing.
    """

    name: ClassVar[str] = "stl-ets"
    slow: ClassVar[bool] = True

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        tell = told_by(_fit, finest_seconds=1_800)
        return outlook(history, steps, tell, tell)


def _fit(series: Scaled) -> Array:
    seasonal = np.zeros(series.values.size)
    if series.day > 1:
        seasonal = STL(series.values, period=series.day, seasonal=SEASONAL_DAYS).fit().seasonal
    adjusted = series.values - seasonal
    found = ETSModel(adjusted).fit(disp=False, maxiter=MOST_ITERATIONS)
    goes_on = np.resize(seasonal[-series.day :], series.steps)
    return smoothed(adjusted, found.smoothing_level, found.forecast(series.steps) + goes_on)
