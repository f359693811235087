"""Publishes what the provider of the carbon itself forecasts, each forecast once."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from carbonshift.common.events import ProvidedForecast, rfc3339
from carbonshift.ingest.carbon_forecast import CarbonForecast, CarbonForecaster
from carbonshift.ingest.chain import checked_readings
from carbonshift.ingest.cleaning.integrity import CARBON_RANGE_G_PER_KWH
from carbonshift.ingest.errors import SourceUnavailableError
from carbonshift.ingest.interval import begin_of
from carbonshift.ingest.side_feed import Question, SideFeed

__all__ = ["ProvidedFeed", "provided_forecast"]

logger = logging.getLogger("carbonshift.ingest")

LONGEST_HORIZON = timedelta(days=8)
"""What lies further ahead is left out; WattTime forecasts three days at most."""
DECIMALS = 2
"""Of g/kWh: finer than WattTime tells (0.1 lb/MWh), and 288 forecasts of a day are 0.7 MB and not 1.7."""


def provided_forecast(
    region: str, source: CarbonForecaster, forecast: CarbonForecast, now: datetime
) -> tuple[ProvidedForecast, int]:
    """The event, and how many of its values are left out since no grid has such. Pure.

    It begins with the interval in which it was made: of what lies before it is no forecast.

    Raises: SourceUnavailableError where it is of tomorrow, or says nothing of what is to come.
    """
    step = timedelta(seconds=source.interval_seconds)
    made = f"{source.name} has a forecast of {rfc3339(forecast.published_at)}"
    if forecast.published_at > now + step:
        raise SourceUnavailableError(f"{made}, which is yet to come", "look at the clock of this machine")
    begin = begin_of(forecast.published_at, source.interval_seconds)
    told = {
        reading.interval_start: reading.value
        for reading in forecast.readings
        if begin <= reading.interval_start < begin + LONGEST_HORIZON
    }
    low, high = CARBON_RANGE_G_PER_KWH
    values = {moment: value for moment, value in told.items() if value is not None}
    known = {moment: round(value, DECIMALS) for moment, value in values.items() if low <= value <= high}
    if not any(moment + step > now for moment in known):
        raise SourceUnavailableError(f"{made} that says nothing of what is to come", "it is asked again")
    first = min(told)
    count = (max(told) - first) // step + 1
    event = ProvidedForecast(
        region=region,
        source=source.name,
        published_at=forecast.published_at,
        step_seconds=source.interval_seconds,
        first_interval_start=first,
        carbon_basis=source.carbon_basis,
        carbon_g_per_kwh=tuple(known.get(first + step * number) for number in range(count)),
    )
    return event, len(values) - len(known)


@dataclass(slots=True)
class ProvidedFeed(SideFeed[ProvidedForecast]):
    """The forecasts of one source, the newest one at each poll."""

    what: ClassVar[str] = "its forecast"

    source: CarbonForecaster
    last: datetime | None = None
    """When the newest one that was published was made."""
    left_out: int = 0
    """So many values of the last one were."""

    def questions(self, now: datetime) -> Iterable[Question[ProvidedForecast]]:
        return [partial(self._newest, now)]

    def keep(self, news: Sequence[ProvidedForecast]) -> None:
        self.last = max((event.published_at for event in news), default=self.last)

    async def _newest(self, now: datetime) -> list[ProvidedForecast]:
        """None where there is none, or none but the last one."""
        forecast = await self.source.forecast(self.settings.region, now)
        if forecast is None:
            return []
        checked_readings(forecast.readings, self.source)
        event, left_out = provided_forecast(self.settings.region, self.source, forecast, now)
        if left_out and left_out != self.left_out:
            text = "%s: %d values of its forecast of %d steps are such as no grid has, and left out"
            logger.warning(text, self.source.name, left_out, len(event.carbon_g_per_kwh))
        self.left_out = left_out
        return [event] if self.last is None or event.published_at > self.last else []
