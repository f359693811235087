"""What the day-ahead market has published, taken for the price to come."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from carbonshift.forecast.each_signal import Told, outlook
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.naive import Rule, held, past_origins, told
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["DayAheadForecaster"]


class DayAheadForecaster:
    """The published price of each step, between conformal quantiles of what the published prices have missed by.

    Of a step for which nothing is published, and of carbon, it is silent; the last value stands there. With no
    published price in the first step it is degraded. In a day-ahead market what is published is the price itself.
    """

    name: ClassVar[str] = "day-ahead"

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        silent = np.isnan(_published(history, steps)[history.price_usd_per_mwh.size :])
        found = outlook(history, steps, _price, _carbon)
        return replace(
            found,
            degraded=found.degraded or bool(silent[0]),
            price_silent=silent,
            carbon_silent=np.ones(steps, dtype=np.bool_),
        )


def _published(history: History, steps: int) -> Array:
    """Of the past and of the steps ahead, NaN where nothing is."""
    published = np.full(history.price_usd_per_mwh.size + steps, np.nan)
    said = history.published_usd_per_mwh[: published.size]
    published[: said.size] = said
    return published


def _price(values: Array, history: History, steps: int) -> Told | None:
    published, size = _published(history, steps), values.size
    here = ~np.isnan(published[size:])
    fallback = held(values, steps, history.step_seconds)
    origins = past_origins(values, history.step_seconds)
    missed = (values - published[:size])[origins, None]
    return told(
        Rule(
            points=np.where(here, published[size:], fallback.points),
            errors=np.where(here, missed, fallback.errors),
        ),
        values,
        history.step_seconds,
    )


def _carbon(values: Array, history: History, steps: int) -> Told | None:
    return told(held(values, steps, history.step_seconds), values, history.step_seconds)
