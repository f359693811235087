"""What others have told of a region's coming hours: published prices, the provider's own forecast. Pure."""

from dataclasses import dataclass, replace

import numpy as np

from carbonshift.common.events import CarbonBasis, DayAheadPrices, ProvidedForecast
from carbonshift.forecast.forecaster import Array

__all__ = ["ToldAhead"]

MOST_PUBLISHED = 400
"""Tellings that are kept: of a market that publishes a day at a time more than a year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldAhead:
    """Of one region and run."""

    published: tuple[DayAheadPrices, ...] = ()
    """In the order in which they were told: of the same hour the last one holds."""
    provided: ProvidedForecast | None = None
    """The newest."""

    def hear(self, event: DayAheadPrices | ProvidedForecast) -> "ToldAhead":
        """After one more telling; a repeated one changes nothing."""
        if isinstance(event, ProvidedForecast):
            newer = self.provided is None or event.published_at >= self.provided.published_at
            return replace(self, provided=event) if newer else self
        if event in self.published[-1:]:
            return self
        return replace(self, published=(*self.published, event)[-MOST_PUBLISHED:])

    def prices(self, start: int, step_seconds: int, size: int) -> Array:
        """The published price of each interval, shape (size,), NaN where there is none; (0,) where there never was one.

        Prices of finer steps are averaged; where the steps do not fit into one another, nothing is told.

        Args:
            start: Unix second at which the first interval starts.
            step_seconds: length of each.
            size: how many.
        """
        if not self.published:
            return np.empty(0)
        prices = np.full(size, np.nan)
        for event in self.published:
            first = int(event.first_interval_start.timestamp())
            _fill(prices, event.prices_usd_per_mwh, first - start, event.step_seconds, step_seconds)
        prices.setflags(write=False)
        return prices

    def carbon(self, origin: int, step_seconds: int, steps: int, basis: CarbonBasis) -> Array:
        """What the provider expects of the steps ahead, NaN where it does not say; (0,) where it says nothing of them.

        Args:
            origin: Unix second at which the first step starts.
            step_seconds: length of a step.
            steps: how many.
            basis: of the carbon intensity that is forecast: what is told of another one is not of use.
        """
        event = self.provided
        if event is None or event.carbon_basis is not basis:
            return np.empty(0)
        carbon = np.full(steps, np.nan)
        first = int(event.first_interval_start.timestamp())
        _fill(carbon, event.carbon_g_per_kwh, first - origin, event.step_seconds, step_seconds)
        carbon.setflags(write=False)
        return carbon if not np.isnan(carbon).all() else np.empty(0)


def _fill(grid: Array, values: tuple[float | None, ...], behind: int, theirs: int, step_seconds: int) -> None:
    """Put `values`, of steps of `theirs` seconds that begin `behind` seconds after the grid does, where they belong."""
    told = np.array([np.nan if value is None else value for value in values])
    if behind % step_seconds:
        return
    if theirs % step_seconds and step_seconds % theirs == 0:
        of_one = step_seconds // theirs
        told, theirs = told[: told.size // of_one * of_one].reshape(-1, of_one).mean(axis=1), step_seconds
    elif theirs % step_seconds:
        return
    since = step_seconds * np.arange(grid.size) - behind
    inside = (since >= 0) & (since < told.size * theirs)
    grid[inside] = told[since[inside] // theirs]
