"""A regression on the cycle of the day whose errors are an autoregressive moving average."""

from typing import ClassVar

import numpy as np
from statsmodels.tsa.statespace.sarimax import SARIMAX

from carbonshift.forecast.each_signal import outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.scaled import Scaled, day_cycle, spread, told_by
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["SarimaxForecaster"]

HARMONICS = 3
MOST_ITERATIONS = 10


class SarimaxForecaster:
    """statsmodels' SARIMAX on asinh-scaled values: ARMA(2, 1) errors around Fourier terms of the day, fitted anew.

    A history of steps below an hour is thinned to that. The regression comes first, by least squares: with its seven
    weights in the likelihood a fit took seconds, as with a seasonal order of 24, which makes the state 26 wide. It ends
    after ten iterations. Quantiles are of its own variance.

    Source: Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice, 10.5: dynamic harmonic regression.
    """

    name: ClassVar[str] = "sarimax"
    slow: ClassVar[bool] = True

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        tell = told_by(_fit)
        return outlook(history, steps, tell, tell)


def _fit(series: Scaled) -> Array:
    size = series.values.size
    cycle = day_cycle(series, HARMONICS if series.day >= 2 * HARMONICS else 0)
    known = np.column_stack((np.ones(cycle.shape[0]), cycle))
    weights = np.linalg.lstsq(known[:size], series.values, rcond=None)[0]
    usual = known @ weights
    model = SARIMAX(series.values - usual[:size], order=(2, 0, 1), concentrate_scale=True)
    told = model.fit(disp=0, maxiter=MOST_ITERATIONS, cov_type="none").get_forecast(series.steps)
    return spread(usual[size:] + np.asarray(told.predicted_mean), np.asarray(told.se_mean))
