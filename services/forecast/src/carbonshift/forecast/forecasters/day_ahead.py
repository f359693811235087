"""What the day-ahead market has published, taken for the price to come."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from carbonshift.forecast.each_signal import Told, outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.naive import Rule, held, told
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["DayAheadForecaster"]


class DayAheadForecaster:
    """The published price of each step, between conformal quantiles of what the published prices have missed by.

    A step for which nothing is published holds the last price, as `persistence` does, and so does carbon; with any
    such step it is degraded. In a day-ahead market what is published is the price itself, and misses by nothing.
    """

    name: ClassVar[str] = "day-ahead"

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        return outlook(history, steps, _price, _carbon)


def _price(values: Array, history: History, steps: int) -> Told | None:
    published = np.full(values.size + steps, np.nan)
    said = history.published_usd_per_mwh[: published.size]
    published[: said.size] = said
    ahead = published[values.size :]
    here = ~np.isnan(ahead)
    missed = values - published[: values.size]
    fallback = held(values, steps)
    points = np.where(here, ahead, fallback.points)
    errors = np.full((values.size, steps), np.nan)
    errors[:, here] = missed[:, None]
    errors[1:, ~here] = fallback.errors[:, ~here]
    found = told(Rule(points=points, errors=errors), history.step_seconds)
    return replace(found, degraded=not here.all()) if found else None


def _carbon(values: Array, history: History, steps: int) -> Told | None:
    return told(held(values, steps), history.step_seconds)
