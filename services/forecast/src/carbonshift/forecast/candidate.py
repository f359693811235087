"""What forecasters have in common that fit one model anew to each signal. Pure."""

from typing import ClassVar

from carbonshift.forecast.each_signal import outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.scaled import Scaled, told_by
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["Candidate"]


class Candidate:
    """One of them says its name, and how it fits."""

    slow: ClassVar[bool] = True
    finest_seconds: ClassVar[int] = 3_600
    """Finer steps are thinned to these."""

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        tell = told_by(self.fit, self.finest_seconds)
        return outlook(history, steps, tell, tell)

    def fit(self, series: Scaled) -> Array:
        """Equally likely futures on the asinh scale: see `scaled.Fit`."""
        raise NotImplementedError
