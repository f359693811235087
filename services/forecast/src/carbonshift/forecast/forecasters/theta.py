"""The theta method on values freed of their cycle of the day: the winner of the M3 competition, and hard to beat."""

from typing import ClassVar

import numpy as np
from statsmodels.tsa.forecasting.theta import ThetaModel
from statsmodels.tsa.seasonal import seasonal_decompose

from carbonshift.forecast.candidate import Candidate
from carbonshift.forecast.forecaster import Array
from carbonshift.forecast.scaled import Scaled, deseasonalised, smoothed

__all__ = ["ThetaForecaster"]

THETA = 2.0


class ThetaForecaster(Candidate):
    """statsmodels' ThetaModel beside an additive season of the day, on asinh-scaled values, fitted anew each time.

    A history of steps below half an hour is thinned to that. Quantiles are those of what its smoothing has missed by:
    the model's own, of a normal distribution, are far too wide on prices with spikes.

    Source: Assimakopoulos and Nikolopoulos (2000), The Theta Model, International Journal of Forecasting 16.
    """

    name: ClassVar[str] = "theta"
    finest_seconds: ClassVar[int] = 1_800

    def fit(self, series: Scaled) -> Array:
        """See Candidate."""
        adjusted, goes_on = deseasonalised(series, _season)
        found = ThetaModel(adjusted, deseasonalize=False).fit(disp=False)
        return smoothed(
            adjusted, float(found.params["alpha"]), np.asarray(found.forecast(series.steps, theta=THETA)) + goes_on
        )


def _season(series: Scaled) -> Array:
    return np.asarray(seasonal_decompose(series.values, period=series.day).seasonal)
