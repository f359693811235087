"""A level that wanders, a cycle of the day that changes slowly, and an autoregression around both."""

from typing import ClassVar

import numpy as np
from statsmodels.tsa.statespace.structural import UnobservedComponents

from carbonshift.forecast.candidate import Candidate
from carbonshift.forecast.forecaster import Array
from carbonshift.forecast.scaled import Scaled, spread

__all__ = ["StructuralForecaster"]

HARMONICS = 3
MOST_ITERATIONS = 15


class StructuralForecaster(Candidate):
    """statsmodels' UnobservedComponents on asinh-scaled values, fitted anew each time; quantiles of its own variance.

    A history of steps below an hour is thinned to that, and the fit ends after fifteen iterations: on finer
    steps it takes more than a second.

    Source: Harvey (1989), Forecasting, Structural Time Series Models and the Kalman Filter.
    """

    name: ClassVar[str] = "structural"

    def fit(self, series: Scaled) -> Array:
        """See Candidate."""
        cycles = [{"period": series.day, "harmonics": HARMONICS}] if series.day >= 2 * HARMONICS else None
        model = UnobservedComponents(
            series.values, level="local level", freq_seasonal=cycles, autoregressive=1, use_exact_diffuse=False
        )
        found = model.fit(disp=0, maxiter=MOST_ITERATIONS, cov_type="none")
        told = found.get_forecast(series.steps)
        return spread(np.asarray(told.predicted_mean), np.asarray(told.se_mean))
