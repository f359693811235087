"""The last value stays: one of the two baselines that every other forecast is set against."""

from typing import ClassVar

from carbonshift.forecast.each_signal import Told, outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.naive import held, told
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["PersistenceForecaster"]


class PersistenceForecaster:
    """The last known value for every step, between quantiles of what that has missed by over the last 28 days.

    The quantiles of each step are conformal: of the errors that forecasts made so many steps ahead, from the past
    origins of those days, thinned to at most 1,200.
    """

    name: ClassVar[str] = "persistence"

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        return outlook(history, steps, _tell, _tell)


def _tell(values: Array, history: History, steps: int) -> Told | None:
    return told(held(values, steps, history.step_seconds), values, history.step_seconds)
