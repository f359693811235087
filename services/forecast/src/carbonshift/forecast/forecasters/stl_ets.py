"""A season of the day by local regression, and exponential smoothing of what remains."""

from typing import ClassVar

import numpy as np
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.seasonal import STL

from carbonshift.forecast.candidate import Candidate
from carbonshift.forecast.forecaster import Array
from carbonshift.forecast.scaled import Scaled, deseasonalised, smoothed

__all__ = ["StlEtsForecaster"]

SEASONAL_DAYS = 29
"""A shorter memory of the season learns the noise by heart: with 7 days 6 in 10 lay between p10 and p90."""
MOST_ITERATIONS = 50


class StlEtsForecaster(Candidate):
    """statsmodels' STL and ETS (additive errors, no trend) on asinh-scaled values, fitted anew each time.

    A history of steps below half an hour is thinned to that. The season goes on as on the last day. Quantiles are those
    of what the smoothing has missed by; the season counts as known.

    Sources: Cleveland, Cleveland, McRae and Terpenning (1990), STL, Journal of Official Statistics 6; Hyndman, Koehler,
        Ord and Snyder (2008), Forecasting with Exponential Smoothing.
    """

    name: ClassVar[str] = "stl-ets"
    finest_seconds: ClassVar[int] = 1_800

    def fit(self, series: Scaled) -> Array:
        """See Candidate."""
        adjusted, goes_on = deseasonalised(series, _season)
        found = ETSModel(adjusted).fit(disp=False, maxiter=MOST_ITERATIONS)
        return smoothed(adjusted, found.smoothing_level, found.forecast(series.steps) + goes_on)


def _season(series: Scaled) -> Array:
    return np.asarray(STL(series.values, period=series.day, seasonal=SEASONAL_DAYS).fit().seasonal)
