"""A regression for each lead time: what the hours and days before say, and how far off that has been."""

from typing import ClassVar

import numpy as np

from carbonshift.forecast.each_signal import Told, outlook
from carbonshift.forecast.features import Calendar, Features, Grid
from carbonshift.forecast.forecaster import Array, History, Outlook
from carbonshift.forecast.naive import carried
from carbonshift.forecast.published import known_ahead
from carbonshift.forecast.ridge import foretold
from carbonshift.forecast.scaled import asinh_scale
from carbonshift.forecast.scenarios import RANKS, bands
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.thinning import thinning

__all__ = ["DirectForecaster"]

DAY_SECONDS = 86_400
LEADS_MINUTES = (5, 10, 15, 20, 30, *range(45, 241, 15), *range(300, 481, 60), *range(600, 10_081, 120))
"""Between them a forecast goes straight: each is a regression of its own."""
WEEK_DAYS = 7
WEEKS_FOR_A_WEEK = 3
"""In a history of so many the usual day is the mean of a week, and weekends are told apart."""
SHORTEST_DAYS = 4
ROWS = 2_400
"""To learn from; a longer history is thinned out to about so many."""
FEWEST_ROWS = 48
"""Of each lead time: with fewer the ranks of p10 and p90 hang on one error."""
LEAST_KNOWN = 0.5
BEYOND = 0.5
"""How far, in the scaled unit, a future may lie beyond all that the history has seen."""


class DirectForecaster:
    """Price and carbon, each by a ridge regression of its own for each lead time, on asinh-scaled values.

    The columns are what both signals did in the last hours, at that time of day on the days before, and the calendar.
    Each past forecast was made by a fit that had not seen it; what those missed by, in widths that grow and shrink
    with the same columns, is the spread. Chosen on recordings of 2021 among the candidates that stand beside it.

    A value that is missing teaches nothing. With less than four days, with less than half of them known, with a signal
    that has not moved, or with a lead time of which too little has passed, the last value and its past moves stand in,
    and the outlook is `degraded`.
    """

    name: ClassVar[str] = "direct"

    def __init__(self, settings: ForecastSettings | None = None) -> None:
        del settings  # it has none of its own

    def predict(self, history: History, steps: int) -> Outlook:
        """See Forecaster."""
        return outlook(history, steps, _price, _carbon)


def _price(values: Array, history: History, steps: int) -> Told | None:
    """Behind the prices that are published, where they are this market's own."""
    known = known_ahead(history)[:steps]
    if not known.size:
        return _told(values, history.carbon_g_per_kwh, history, steps)
    ahead = np.broadcast_to(known, (RANKS.size, known.size))
    if known.size == steps:
        return Told(bands=bands(ahead), futures=ahead)
    carbon = np.concatenate((history.carbon_g_per_kwh, np.full(known.size, np.nan)))
    later = _told(np.concatenate((values, known)), carbon, history, steps - known.size)
    if later is None:
        return None
    futures = np.hstack((ahead, later.futures))
    return Told(bands=bands(futures), futures=futures)


def _carbon(values: Array, history: History, steps: int) -> Told | None:
    return _told(values, history.price_usd_per_mwh, history, steps)


def _told(values: Array, other: Array, history: History, steps: int) -> Told | None:
    """From the end of `values` on, which may lie behind the history's origin."""
    step_seconds, known = history.step_seconds, ~np.isnan(values)
    past_days = values.size * step_seconds / DAY_SECONDS
    own = _held(values)
    if past_days < SHORTEST_DAYS or known.mean() < LEAST_KNOWN or np.ptp(own) <= 1e-9 * np.abs(own).max():
        return None
    grid = Grid(step_seconds=step_seconds, days=WEEK_DAYS if past_days >= WEEKS_FOR_A_WEEK * WEEK_DAYS else 1)
    own, centre, width = _scaled(own)
    start = int(history.origin.timestamp()) - history.price_usd_per_mwh.size * step_seconds
    calendar = Calendar(start, values.size + steps, step_seconds, history.time_zone)
    origins = np.arange(values.size, grid.reach, -thinning(values.size, ROWS))[::-1]
    features = Features(own, _scaled(_held(other))[0], calendar, grid, origins)
    leads = _leads(steps, step_seconds)
    futures = np.empty((RANKS.size, leads.size))
    for number, lead in enumerate(leads):
        targets = origins - 1 + lead
        passed = targets < values.size
        passed[passed] = known[targets[passed]]
        if passed.sum() < FEWEST_ROWS:
            return None
        columns = features.toward(int(lead))
        one = foretold(columns[passed], own[targets[passed]], columns[-1])
        futures[:, number] = one.value + one.width * np.quantile(one.missed, RANKS)
    ahead = np.arange(1, steps + 1)
    every = np.array([np.interp(ahead, leads, future) for future in futures])
    every = centre + width * np.sinh(np.clip(every, own.min() - BEYOND, own.max() + BEYOND))
    return Told(bands=bands(every), futures=every)


def _held(values: Array) -> Array:
    """Without a gap, from what had been known by then: a line to what came after one would tell the future."""
    held = carried(values)
    known = held[~np.isnan(held)]
    return np.where(np.isnan(held), known[0], held)


def _leads(steps: int, step_seconds: int) -> Array:
    inner = {-(-60 * minutes // step_seconds) for minutes in LEADS_MINUTES}
    return np.array(sorted({lead for lead in inner if lead < steps} | {steps}))


def _scaled(values: Array) -> tuple[Array, float, float]:
    """On the asinh scale, with its centre and width."""
    centre, width = asinh_scale(values)
    return np.arcsinh((values - centre) / (width or 1.0)), centre, width
