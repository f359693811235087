"""Events and parts of events about energy: what was drawn, by whom, and what it cost."""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.events.base import Event, Instant, Name, stamp
from carbonshift.common.events.grid import CarbonBasis, Quality
from carbonshift.common.events.replay import Replay, mark
from carbonshift.common.events.shown import Shown

__all__ = ["Account", "EnergyShare", "EnergyUse"]


class Account(BaseModel):
    """What an `energy_j` is made of and has cost. It counts up; a worker's restart goes on from where it was."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)

    since: Instant
    """Event time from which on all of it is counted."""
    error_j: NonNegativeFloat | None = None
    """By how much integration may be off at most, as far as the readings tell; 0 for a counter, null for a model."""
    parked_j: NonNegativeFloat = 0.0
    """The part drawn while training waited."""
    cost_usd: float = 0.0
    """Of what has a price: the interval's, as its tick has it."""
    marginal_carbon_g: NonNegativeFloat = 0.0
    average_carbon_g: NonNegativeFloat = 0.0
    """By the basis of the interval's tick: the two are never added."""
    unpriced_j: NonNegativeFloat = 0.0
    """The part without a price: its tick has not come, has none, or one that cannot be trusted."""
    uncounted_j: NonNegativeFloat = 0.0
    """The part without a carbon intensity."""
    stand_in_j: NonNegativeFloat = 0.0
    """The part whose price or carbon intensity was interpolated or held: nobody observed it."""


class EnergyShare(BaseModel):
    """One job's part of what a device drew."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)

    job: Name
    energy_j: NonNegativeFloat
    parked_j: NonNegativeFloat
    """The part of it drawn while the job waited."""


class EnergyUse(Event):
    """What one device drew in one interval of its region, at that interval's price and carbon intensity.

    It comes once the interval is over and its tick is known, again where the tick is corrected, and without a tick
    once that is not to be expected any more. Of one device and interval the last one counts.
    """

    kind: ClassVar[str] = "energy"
    stream: ClassVar[str] = "WORKERS"
    address: ClassVar[str] = "worker.{worker}.energy"

    worker: Name
    site: Name
    region: Name
    device_uuid: Shown
    interval_start: Instant
    interval_seconds: PositiveInt
    revision: NonNegativeInt | None
    """Of the tick; null without one."""
    metered_seconds: NonNegativeFloat
    """How much of the interval was metered."""
    energy_j: NonNegativeFloat
    energy_basis: EnergyBasis
    error_j: NonNegativeFloat | None
    parked_j: NonNegativeFloat
    shares: tuple[EnergyShare, ...]
    """By job, each joule once: they add up to no more than `energy_j`; the rest was drawn with no job here."""
    price_usd_per_mwh: float | None
    price_quality: Quality
    cost_usd: float | None
    carbon_g_per_kwh: NonNegativeFloat | None
    carbon_basis: CarbonBasis | None
    carbon_quality: Quality
    carbon_g: NonNegativeFloat | None
    replay: Replay | None = None

    @property
    def id(self) -> str:
        revision = "none" if self.revision is None else self.revision
        return (
            f"energy:{self.worker}:{self.device_uuid}:{stamp(self.interval_start)}:{revision}"
            f":{self.energy_j:.0f}{mark(self.replay)}"
        )

    @property
    def time(self) -> datetime:
        return self.interval_start
