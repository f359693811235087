"""A source that tells what feeds its grid: what it has to give, which a source need not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from carbonshift.common.events import Fuel
from carbonshift.ingest.source import GridSource

__all__ = ["FuelMixer", "Supply"]


@dataclass(frozen=True, slots=True)
class Supply:
    """What each fuel gave in the interval that starts then, in UTC."""

    interval_start: datetime
    power_w: Mapping[Fuel, float]
    """Below zero what takes from the grid; a fuel of which nothing is known is left out."""


@runtime_checkable
class FuelMixer(GridSource, Protocol):
    """A source of carbon that tells the fuels behind it."""

    async def fuel_mix(self, region: str, start: datetime, end: datetime) -> list[Supply]:
        """What was measured with start <= interval_start < end, oldest first, each of its intervals once.

        What the provider itself calls an estimate is left out: nobody may be told that a fuel fell because of it.

        Raises: SourceUnavailableError where another try may help, SourceRefusedError where none will.
        """
