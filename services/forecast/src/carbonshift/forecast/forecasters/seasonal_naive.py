"""As it was 24 hours before: one of the two baselines that every other forecast is set against."""

from typing import ClassVar

from carbonshift.forecast.each_signal import Told, outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.naive import day_back, told
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["SeasonalNaiveForecaster"]


class SeasonalNaiveForecaster:
    """The value of 24 hours before each step, between conformal quantiles of what that has missed by lately.

    Those are of the last 28 days, thinned to at most 1,200 origins. A missing value is that of the day before it.
    """

    name: ClassVar[str] = "seasonal-naive"

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        return outlook(history, steps, _tell, _tell)


def _tell(values: Array, history: History, steps: int) -> Told | None:
    rule = day_back(values, history, steps)
    return told(rule, values, history.step_seconds) if rule else None
