"""A source that forecasts its carbon intensity: what it has to give, which a source need not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from carbonshift.ingest.reading import Reading
from carbonshift.ingest.source import GridSource

__all__ = ["CarbonForecast", "CarbonForecaster"]


@dataclass(frozen=True, slots=True)
class CarbonForecast:
    """What the provider expects, as it says it."""

    published_at: datetime
    """When the provider made it, in UTC; when it was asked where it does not say."""
    readings: list[Reading]
    """g/kWh, oldest first, each interval once; of what lies behind `published_at` too, where the provider says it."""


@runtime_checkable
class CarbonForecaster(GridSource, Protocol):
    """A source of carbon whose provider forecasts it."""

    async def forecast(self, region: str, now: datetime) -> CarbonForecast | None:
        """The newest forecast there is; None where there is none to be had, and the source has said why.

        Raises: SourceUnavailableError where another try may help, SourceRefusedError where none will.
        """
