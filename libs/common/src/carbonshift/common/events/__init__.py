"""The events: the whole contract between the parts, and with whoever subscribes."""

from carbonshift.common.events.base import Event, Instant, Name, headers, rfc3339
from carbonshift.common.events.dlq import DeadLetter
from carbonshift.common.events.energy import Account, EnergyShare, EnergyUse
from carbonshift.common.events.fleet import EnergyBasis, WorkerEvent, WorkerEventKind, WorkerTelemetry
from carbonshift.common.events.fuel import Fuel, FuelMix
from carbonshift.common.events.grid import (
    CarbonBasis,
    DayAheadPrices,
    Digest,
    ForecastSkill,
    GridForecast,
    GridState,
    GridTick,
    GridTransition,
    Issue,
    Narrative,
    PriceMarket,
    ProvidedForecast,
    Pulse,
    Quality,
    Quantiles,
    TransitionFacts,
)
from carbonshift.common.events.power import Flexibility, PowerTarget, ResumeToken, Shed
from carbonshift.common.events.replay import Replay
from carbonshift.common.events.work import JobPlan, JobStatus, RunState

__all__ = [
    "EVENTS",
    "Account",
    "CarbonBasis",
    "DayAheadPrices",
    "DeadLetter",
    "Digest",
    "EnergyBasis",
    "EnergyShare",
    "EnergyUse",
    "Event",
    "Flexibility",
    "ForecastSkill",
    "Fuel",
    "FuelMix",
    "GridForecast",
    "GridState",
    "GridTick",
    "GridTransition",
    "Instant",
    "Issue",
    "JobPlan",
    "JobStatus",
    "Name",
    "Narrative",
    "PowerTarget",
    "PriceMarket",
    "ProvidedForecast",
    "Pulse",
    "Quality",
    "Quantiles",
    "Replay",
    "ResumeToken",
    "RunState",
    "Shed",
    "TransitionFacts",
    "WorkerEvent",
    "WorkerEventKind",
    "WorkerTelemetry",
    "headers",
    "rfc3339",
]

EVENTS: tuple[type[Event], ...] = (
    GridTick,
    DayAheadPrices,
    ProvidedForecast,
    FuelMix,
    GridState,
    GridTransition,
    GridForecast,
    Narrative,
    Digest,
    JobStatus,
    JobPlan,
    ResumeToken,
    PowerTarget,
    Flexibility,
    WorkerEvent,
    WorkerTelemetry,
    EnergyUse,
    DeadLetter,
)
"""Every type of event, in the order of the design."""
