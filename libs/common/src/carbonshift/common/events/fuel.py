"""The event about what feeds a grid: its power by fuel."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from carbonshift.common.events.base import Event, Instant, Name, stamp
from carbonshift.common.events.grid import StepSeconds
from carbonshift.common.events.replay import Replay, mark
from carbonshift.common.events.shown import Shown

__all__ = ["Fuel", "FuelMix"]


class Fuel(StrEnum):
    """What power is made of, stored in, or brought by."""

    SOLAR = "solar"
    WIND = "wind"
    HYDRO = "hydro"
    NUCLEAR = "nuclear"
    GAS = "gas"
    COAL = "coal"
    OIL = "oil"
    GEOTHERMAL = "geothermal"
    BIOMASS = "biomass"
    """Biogas too."""
    BATTERIES = "batteries"
    PUMPED_HYDRO = "pumped_hydro"
    """Where a source tells it apart from the rest of hydro."""
    IMPORTS = "imports"
    """Net of exports."""
    OTHER = "other"


class FuelMix(Event):
    """The power that each fuel gave to a region in one interval, as a source measured it."""

    kind: ClassVar[str] = "fuelmix"
    stream: ClassVar[str] = "TICKS"
    address: ClassVar[str] = "fuelmix.{region}"

    region: Name
    source: Shown
    interval_start: Instant
    interval_seconds: StepSeconds
    power_w: dict[Fuel, float] = Field(min_length=1)
    """Below zero what takes from the grid: storage that charges, exports, plants that draw. What is not named is not
    known."""
    replay: Replay | None = None
    """Always null: no recording holds a fuel mix."""

    @property
    def interval_end(self) -> datetime:
        """The first moment after the interval."""
        return self.interval_start + timedelta(seconds=self.interval_seconds)

    @property
    def id(self) -> str:
        return f"fuelmix:{self.region}:{stamp(self.interval_start)}:{self.source}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.interval_start
