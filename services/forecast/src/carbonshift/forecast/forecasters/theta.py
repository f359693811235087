"""The theta method on values freed of their cycle of the day: the winner of the M3 competition, and hard to beat."""

from typing import ClassVar

import numpy as np
from statsmodels.tsa.forecasting.theta import ThetaModel
from statsmodels.tsa.seasonal import seasonal_decompose

from carbonshift.forecast.each_signal import outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.scaled import Scaled, smoothed, told_by
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["ThetaForecaster"]

THETA = 2.0


class ThetaForecaster:
    """statsmodels' ThetaModel beside an additive season of the day, on asinh-scaled values, fitted anew each time.

    A history of steps below half an hour is thinned to that. Quantiles are those of what its smoothing has missed by:
    the model's own, of a normal distribution, are far too wide on prices with spikes.

    Source: Assimakopoulos and Nikolopoulos (2000), The Theta Model, International Journal of Forecasting 16.
    """

    name: ClassVar[str] = "theta"
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
        seasonal = np.asarray(seasonal_decompose(series.values, period=series.day).seasonal)
    adjusted = series.values - seasonal
    found = ThetaModel(adjusted, deseasonalize=False).fit(disp=False)
    goes_on = np.resize(seasonal[-series.day :], series.steps)
    return smoothed(
        adjusted, float(found.params["alpha"]), np.asarray(found.forecast(series.steps, theta=THETA)) + goes_on
    )
