"""A regression on the cycle of the day whose errors are an autoregressive moving average."""

from typing import ClassVar

import numpy as np
from statsmodels.tsa.statespace.sarimax import SARIMAX

from carbonshift.forecast.candidate import Candidate
from carbonshift.forecast.forecaster import Array
from carbonshift.forecast.scaled import Scaled, day_cycle, spread

__all__ = ["SarimaxForecaster"]

HARMONICS = 3
MOST_ITERATIONS = 10


class SarimaxForecaster(Candidate):
    """statsmodels' SARIMAX on asinh-scaled values: ARMA(2, 1) errors around Fourier terms of the day, fitted anew.

    A history of steps below an hour is thinned to that. The regression comes first, by least squares: with its seven
    weights in the likelihood a fit took seconds, as with a seasonal order of 24, which makes the state 26 wide. It ends
    after ten iterations. Quantiles are of its own variance.

    Source: Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice, 10.5: dynamic harmonic regression.
    """

    name: ClassVar[str] = "sarimax"

    def fit(self, series: Scaled) -> Array:
        """See Candidate."""
        size = series.values.size
        cycle = day_cycle(series, HARMONICS if series.day >= 2 * HARMONICS else 0)
        known = np.column_stack((np.ones(cycle.shape[0]), cycle))
        weights = np.linalg.lstsq(known[:size], series.values, rcond=None)[0]
        usual = known @ weights
        model = SARIMAX(series.values - usual[:size], order=(2, 0, 1), concentrate_scale=True)
        told = model.fit(disp=0, maxiter=MOST_ITERATIONS, cov_type="none").get_forecast(series.steps)
        return spread(usual[size:] + np.asarray(told.predicted_mean), np.asarray(told.se_mean))
