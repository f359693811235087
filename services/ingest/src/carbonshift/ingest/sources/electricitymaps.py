"""Electricity Maps v3: average carbon intensity of consumption, and what feeds a zone, hourly. https://docs.electricitymaps.com."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BaseModel, FailFast, Field, StrictBool

from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, Fuel, PriceMarket
from carbonshift.ingest.errors import SourceRefusedError
from carbonshift.ingest.fuel_mix import Supply
from carbonshift.ingest.points import Instant, Number, in_order, understood
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import WebPool

__all__ = ["ElectricityMaps", "parse_breakdown", "parse_history"]

logger = logging.getLogger("carbonshift.ingest")

FACTORS = "direct"
"""What is burnt, without what was built: as every other source here counts."""
STEP_SECONDS = 3_600
LONGEST_SPAN = timedelta(days=10)
"""Of one request for /past-range at hourly steps."""
FUEL_OF: Mapping[str, Fuel] = {
    "biomass": Fuel.BIOMASS,
    "coal": Fuel.COAL,
    "gas": Fuel.GAS,
    "geothermal": Fuel.GEOTHERMAL,
    "hydro": Fuel.HYDRO,
    "nuclear": Fuel.NUCLEAR,
    "oil": Fuel.OIL,
    "solar": Fuel.SOLAR,
    "wind": Fuel.WIND,
    "hydro discharge": Fuel.PUMPED_HYDRO,
    "battery discharge": Fuel.BATTERIES,
}
W_IN_ONE_MW = 1e6
REMEDY = "check ELECTRICITYMAPS_API_KEY and CARBONSHIFT_ELECTRICITYMAPS_ZONE: a free key opens one zone and 24 hours"


class _Point(BaseModel):
    at: Instant = Field(alias="datetime")
    carbon: Number | None = Field(alias="carbonIntensity")
    is_estimated: StrictBool | None = Field(default=None, alias="isEstimated")
    zone: Any = None
    factors: Any = Field(default=None, alias="emissionFactorType")
    granularity: Any = Field(default=None, alias="temporalGranularity")


class _History(BaseModel):
    points: Annotated[list[_Point], FailFast()] = Field(validation_alias=AliasChoices("history", "data"))
    zone: Any = None
    factors: Any = Field(default=None, alias="emissionFactorType")
    granularity: Any = Field(default=None, alias="temporalGranularity")


class _Breakdown(BaseModel):
    at: Instant = Field(alias="datetime")
    production: dict[str, Number | None] | None = Field(alias="powerProductionBreakdown")
    imported: Number | None = Field(default=None, alias="powerImportTotal")
    exported: Number | None = Field(default=None, alias="powerExportTotal")
    is_estimated: StrictBool | None = Field(default=None, alias="isEstimated")
    zone: Any = None
    granularity: Any = Field(default=None, alias="temporalGranularity")


class _Breakdowns(BaseModel):
    points: Annotated[list[_Breakdown], FailFast()] = Field(validation_alias=AliasChoices("history", "data"))
    zone: Any = None
    granularity: Any = Field(default=None, alias="temporalGranularity")


class ElectricityMaps:
    """Average carbon and fuel mix of an Electricity Maps zone such as US-CAL-CISO."""

    name: ClassVar[str] = "electricitymaps"
    signals: ClassVar[frozenset[Signal]] = frozenset({Signal.CARBON})
    interval_seconds = STEP_SECONDS
    carbon_basis = CarbonBasis.AVERAGE
    price_market = PriceMarket.REAL_TIME
    time_zone = "UTC"

    def __init__(self, settings: IngestSettings, web: WebPool) -> None:
        """Raises: InputError where the key is missing or is none."""
        key = settings.electricitymaps_api_key.get_secret_value().strip() if settings.electricitymaps_api_key else ""
        if not key:
            raise InputError("ELECTRICITYMAPS_API_KEY is not set", "get a key at https://portal.electricitymaps.com")
        if not (key.isascii() and key.isprintable()):
            raise InputError("ELECTRICITYMAPS_API_KEY holds what no key has", "copy the key again, all on one line")
        self._zone = settings.electricitymaps_zone
        self._headers = {"auth-token": key}
        self._web = web.at(self.name, settings.electricitymaps_url, REMEDY)
        # a circuit of its own: what fails there never closes the way to the carbon
        self._mix_web = web.at(f"{self.name}' power breakdown", settings.electricitymaps_url, REMEDY)
        self._said_short = False

    async def fetch(self, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
        """Direct emissions of the span in g/kWh, whatever the caller calls the region.

        The last 24 hours are open to every key. A key that opens no more gets these alone.
        """
        del region
        if signal is not Signal.CARBON:
            return []
        recent = await self._ask("/v3/carbon-intensity/history", {})
        older: list[Reading] = []
        begin, oldest = start, min(recent[0].interval_start, end) if recent else end
        try:
            while begin < oldest:
                until = min(begin + LONGEST_SPAN, oldest)
                span = {"start": begin.isoformat(), "end": until.isoformat()}
                found = await self._ask("/v3/carbon-intensity/past-range", span)
                older += [r for r in found if begin <= r.interval_start < until]
                begin = until
        except SourceRefusedError as error:
            if oldest == end:  # there is nothing else to give
                raise
            if not self._said_short:
                logger.info("electricitymaps goes on with the last 24 hours: %s", error)
            self._said_short = True
        return older + [r for r in recent if start <= r.interval_start < end]

    async def fuel_mix(self, region: str, start: datetime, end: datetime) -> list[Supply]:
        """What was measured in the last 24 hours: no more of it is asked for."""
        del region
        told = await self._mix_web.ask(
            "/v3/power-breakdown/history",
            lambda body: parse_breakdown(body, self._zone),
            params={"zone": self._zone},
            headers=self._headers,
        )
        return [supply for supply in told if start <= supply.interval_start < end]

    async def _ask(self, path: str, span: dict[str, str]) -> list[Reading]:
        params = {"zone": self._zone, "emissionFactorType": FACTORS, **span}
        return await self._web.ask(
            path, lambda body: parse_history(body, self._zone), params=params, headers=self._headers
        )


def parse_history(body: bytes, zone: str) -> list[Reading]:
    """Direct emissions of `zone` in g/kWh, oldest first; a null is None. Reads /history and /past-range. Pure.

    The unit is gCO2eq/kWh by the contract of v3, which declares which emissions are counted, and no unit.

    Raises: SourceRefusedError where the answer declares other emission factors or none, or is about something else;
        SourceUnavailableError where it cannot be read, or contradicts itself.
    Source: https://docs.electricitymaps.com, GET /v3/carbon-intensity/history.
    """
    answer = understood("electricitymaps", _History, body)
    _check("zone", answer.zone, zone, "CARBONSHIFT_ELECTRICITYMAPS_ZONE must be a zone that the key opens")
    for point in answer.points:
        _check("zone", answer.zone if point.zone is None else point.zone, zone, "report this")
        _check(
            "emissionFactorType",
            answer.factors if point.factors is None else point.factors,
            FACTORS,
            "a key whose plan has direct emission factors is needed, or another carbon source",
        )
        _check_hourly(answer.granularity, point.granularity)
    readings = (Reading(point.at, point.carbon, bool(point.is_estimated)) for point in answer.points)
    return in_order("electricitymaps", readings, STEP_SECONDS)


def parse_breakdown(body: bytes, zone: str) -> list[Supply]:
    """What fed `zone`, oldest first, without the hours that are estimated or of which no fuel is known. Pure.

    The unit is MW by the contract of v3. What is stored in is negative; imports are net of exports.

    Raises: SourceRefusedError where the answer is about something else; SourceUnavailableError where it cannot be read,
        or contradicts itself.
    Source: https://docs.electricitymaps.com, GET /v3/power-breakdown/history.
    """
    answer = understood("electricitymaps", _Breakdowns, body)
    _check("zone", answer.zone, zone, "CARBONSHIFT_ELECTRICITYMAPS_ZONE must be a zone that the key opens")
    for point in answer.points:
        _check("zone", answer.zone if point.zone is None else point.zone, zone, "report this")
        _check_hourly(answer.granularity, point.granularity)
    measured = (Supply(point.at, _by_fuel(point)) for point in answer.points if not point.is_estimated)
    return in_order("electricitymaps", (supply for supply in measured if supply.power_w), STEP_SECONDS)


def _by_fuel(point: _Breakdown) -> dict[Fuel, float]:
    """W by fuel; one that is not known here is of other fuels. A null is no zero: nobody knows."""
    power_w: dict[Fuel, float] = {}
    for name, megawatts in (point.production or {}).items():
        if megawatts is not None:
            fuel = FUEL_OF.get(name, Fuel.OTHER)
            power_w[fuel] = power_w.get(fuel, 0.0) + W_IN_ONE_MW * megawatts
    if power_w and point.imported is not None and point.exported is not None:
        power_w[Fuel.IMPORTS] = W_IN_ONE_MW * (point.imported - point.exported)
    return power_w


def _check_hourly(*granularities: object) -> None:
    for granularity in granularities:
        if granularity is not None:
            _check("temporalGranularity", granularity, "hourly", "report this")


def _check(what: str, said: object, asked: str, remedy: str) -> None:
    if said != asked:
        answered = f"declares no {what}" if said is None else f"answered with {what} {repr(said)[:60]}"
        raise SourceRefusedError(f"electricitymaps {answered}, not {asked}", remedy)
