"""CAISO Today's Outlook: what the grid supplies by fuel, and its average carbon intensity, every five minutes.

`co2.csv` gives metric tons of CO2 per hour and `fuelsource.csv` MW, both by fuel, for one local day; each row bears a
clock time alone. https://www.caiso.com/todays-outlook
"""

import csv
import io
import logging
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import ClassVar, TypeVar
from zoneinfo import ZoneInfo

from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.events import CarbonBasis, Fuel, PriceMarket
from carbonshift.ingest.cell import number
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.fuel_mix import Supply
from carbonshift.ingest.interval import OfInterval
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import Web, WebPool, body_checked

__all__ = [
    "CO2",
    "FUELS",
    "CaisoOutlook",
    "Table",
    "by_fuel",
    "intensity",
    "is_of_today",
    "parse_table",
    "readings",
    "supplies",
]

T = TypeVar("T", bound=OfInterval)
Table = dict[time, dict[str, float]]
"""The complete rows of a file, by their clock time."""

logger = logging.getLogger("carbonshift.ingest")

ZONE = ZoneInfo("America/Los_Angeles")
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5][05]", re.ASCII)
G_PER_KWH_IN_ONE_T_PER_MWH = 1_000.0
CO2 = frozenset({"Natural Gas CO2", "Imports CO2"})
FUELS = frozenset({"Solar", "Wind", "Nuclear", "Natural Gas", "Large Hydro", "Imports"})
"""Columns without which a sum would mean something else. Whatever further fuel a file lists is counted too."""
FUEL_OF: Mapping[str, Fuel] = {
    "Solar": Fuel.SOLAR,
    "Wind": Fuel.WIND,
    "Geothermal": Fuel.GEOTHERMAL,
    "Biomass": Fuel.BIOMASS,
    "Biogas": Fuel.BIOMASS,
    "Small hydro": Fuel.HYDRO,
    "Large Hydro": Fuel.HYDRO,
    "Coal": Fuel.COAL,
    "Nuclear": Fuel.NUCLEAR,
    "Natural Gas": Fuel.GAS,
    "Batteries": Fuel.BATTERIES,
    "Imports": Fuel.IMPORTS,
}
W_IN_ONE_MW = 1e6
FRESH = timedelta(minutes=10)
"""So long the supply of today that the carbon was made of serves the fuel mix too; that of an earlier day serves on."""
DAYS_KEPT = 2
LONGEST_LAG = timedelta(hours=1)
FURTHEST_AHEAD = timedelta(minutes=5)
LONGEST_QUOTE = 200


class CaisoOutlook:
    """Average carbon and fuel mix of the whole CAISO area."""

    name: ClassVar[str] = "caiso-outlook"
    signals: ClassVar[frozenset[Signal]] = frozenset({Signal.CARBON})
    interval_seconds = 300
    carbon_basis = CarbonBasis.AVERAGE
    price_market = PriceMarket.REAL_TIME
    time_zone = ZONE.key

    def __init__(self, settings: IngestSettings, web: WebPool) -> None:
        self._web = web.at("CAISO Outlook", settings.caiso_outlook_url, "look at caiso_outlook_url")
        # a circuit of its own: what fails there never closes the way to the carbon
        self._mix_web = web.at("CAISO Outlook's fuel mix", settings.caiso_outlook_url, "look at caiso_outlook_url")
        self._clock = web.clock
        self._without: set[date] = set()
        self._supply: dict[date, tuple[datetime, Table]] = {}

    async def fetch(self, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
        """g/kWh; the files are of one area, so the region is whatever the caller calls it."""
        del region
        return await self.fetch_as_of(self._clock(), start, end) if signal is Signal.CARBON else []

    async def fetch_as_of(self, now: datetime, start: datetime, end: datetime) -> list[Reading]:
        """What the files give when it is `now`: `current` for the local day of `now`, `history` for those before.

        An earlier day that is refused (it has no file), or a `current` that is not of today, withholds no other day.
        """

        async def carbon(folder: str, day: date) -> list[Reading]:
            co2 = await self._web.ask(f"{folder}/co2.csv", partial(parse_table, needed=CO2))
            supply = await self._ask_supply(self._web, folder, day, now)
            _check_today((co2, supply), day, now)
            return readings(co2, supply, day)

        return await self._day_by_day(now, start, end, carbon)

    async def fuel_mix(self, region: str, start: datetime, end: datetime) -> list[Supply]:
        """What each fuel gave; asked for only where the carbon has not had the same file lately."""
        del region
        now = self._clock()
        today = now.astimezone(ZONE).date()

        async def mix(folder: str, day: date) -> list[Supply]:
            had_at, supply = self._supply.get(day, (None, None))
            if supply is None or had_at is None or (day == today and now - had_at > FRESH):
                supply = await self._ask_supply(self._mix_web, folder, day, now)
            _check_today((supply,), day, now)
            return supplies(supply, day)

        return await self._day_by_day(now, start, end, mix)

    async def _ask_supply(self, web: Web, folder: str, day: date, now: datetime) -> Table:
        supply = await web.ask(f"{folder}/fuelsource.csv", partial(parse_table, needed=FUELS))
        self._supply[day] = now, supply
        for oldest in sorted(self._supply)[:-DAYS_KEPT]:
            del self._supply[oldest]
        return supply

    async def _day_by_day(
        self, now: datetime, start: datetime, end: datetime, of_day: Callable[[str, date], Awaitable[Iterable[T]]]
    ) -> list[T]:
        """What `of_day` finds of the span in the folder of each of its local days."""
        today = now.astimezone(ZONE).date()
        day = start.astimezone(ZONE).date()
        found: list[T] = []
        missing: CarbonShiftError | None = None
        while day <= today and datetime.combine(day, time(), ZONE) < end:
            try:
                found += await of_day("current" if day == today else f"history/{day:%Y%m%d}", day)
            except SourceRefusedError as error:
                if day == today:
                    raise
                missing = error
                if day not in self._without:
                    logger.warning("CAISO Outlook has nothing of %s: %s", day, error)
                self._without.add(day)
            except _NotOfTodayError as error:
                missing = error
                logger.info("CAISO Outlook has nothing of %s yet: %s", day, error)
            day += timedelta(days=1)
        found = [point for point in found if start <= point.interval_start < end]
        if missing is not None and not found:
            raise missing
        return found


class _NotOfTodayError(SourceUnavailableError):
    """What is called current is of another day still."""


def _check_today(tables: Iterable[Table], day: date, now: datetime) -> None:
    if day == now.astimezone(ZONE).date() and not all(is_of_today(table, now) for table in tables):
        problem = f"CAISO Outlook: what it calls current has no recent row of {day}"
        raise _NotOfTodayError(problem, "it is asked again")


def parse_table(body: bytes, needed: frozenset[str]) -> Table:
    """The rows that have a number in every cell, by clock time: tons per hour or MW, as the file has it.

    Left out are a row with a blank cell (to come, not known, or within the hour that the clock skips), a `00:00` that
    is not the first row (the next day's), a clock time with two different rows, and a last row without its line end.

    Raises: SourceUnavailableError for what is cut short or garbled, a page of HTML among it; SourceRefusedError where
        a column that is `needed`, or Time, is not there.
    """
    text = body_checked("CAISO Outlook", body)
    if text.lstrip().startswith("<"):
        raise _garbled("a page of HTML where a CSV should be")
    table: Table = {}
    disputed: set[time] = set()
    last: time | None = None
    for line, cells in _lines(text, needed):
        first, last = last is None, _clock(cells.pop("Time"), line)
        if (last == time() and not first) or not all(cell.strip() for cell in cells.values()):
            continue
        row = {column: _number(cell, line) for column, cell in cells.items()}
        if table.setdefault(last, row) != row:
            disputed.add(last)
    if last is not None and not text.endswith("\n"):  # its last number may be cut short
        disputed.add(last)
    return {clock: row for clock, row in table.items() if clock not in disputed}


def _lines(text: str, needed: frozenset[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells of each line below the header."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(lines, [])]
        if "\n" not in text:
            raise _garbled("not even its header is complete")
        if len(set(header)) < len(header) or not needed | {"Time"} <= set(header):
            raise SourceRefusedError(f"CAISO Outlook has columns {','.join(header)!r:.{LONGEST_QUOTE}}", "report this")
        for line in lines:
            if line and len(line) != len(header):
                raise _garbled(f"line {lines.line_num} has {len(line)} cells, expected {len(header)}")
            if line:
                yield lines.line_num, dict(zip(header, line, strict=True))
    except csv.Error as error:
        raise _garbled(f"line {lines.line_num}: {error}") from error


def is_of_today(table: Table, now: datetime) -> bool:
    """Whether a file without a date is of the local day of `now`, as its last row tells.

    After midnight the file may still be yesterday's, with rows later than now; and one that has stood still since
    yesterday would pass for today's once the clock has passed its last row, were that row not to be recent. By the
    clock on the wall, as the file counts.
    """
    wall = now.astimezone(ZONE).replace(tzinfo=None)
    return bool(table) and -FURTHEST_AHEAD <= wall - datetime.combine(wall.date(), max(table)) <= LONGEST_LAG


def readings(co2: Table, supply: Table, day: date) -> list[Reading]:
    """Intensity in g/kWh at each clock time of `day` that both files have, oldest first, each interval once."""
    both = _instants(co2.keys() & supply.keys(), day)
    return [Reading(start, intensity(co2[clock], supply[clock])) for clock, start in both]


def supplies(supply: Table, day: date) -> list[Supply]:
    """What each fuel gave at each clock time of `day` that the file has, oldest first, each interval once."""
    return [Supply(start, by_fuel(supply[clock])) for clock, start in _instants(supply.keys(), day)]


def by_fuel(supply: Mapping[str, float]) -> dict[Fuel, float]:
    """W by fuel, of the MW in each column of `supply`; a column that is not known here is of other fuels."""
    power_w: dict[Fuel, float] = {}
    for column, megawatts in supply.items():
        fuel = FUEL_OF.get(column, Fuel.OTHER)
        power_w[fuel] = power_w.get(fuel, 0.0) + W_IN_ONE_MW * megawatts
    return power_w


def _instants(clocks: Iterable[time], day: date) -> Iterator[tuple[time, datetime]]:
    """Each of the clock times of `day`, in order, with the instant in UTC that it names.

    One that names no instant, or two, is left out: when clocks go back the file has the repeated hour once, and nothing
    says which of the two it holds.
    """
    for clock in sorted(clocks):
        local = datetime.combine(day, clock, ZONE)
        if local.utcoffset() == local.replace(fold=1).utcoffset():
            yield clock, local.astimezone(UTC)


def intensity(co2: Mapping[str, float], supply: Mapping[str, float]) -> float | None:
    """Grams of CO2 per kWh of what is fed into the grid: emissions over generation plus imports.

    Args:
        co2: metric tons per hour, by fuel.
        supply: MW, by fuel.
    Returns: None where nothing is supplied, a fuel emits less than nothing, or none emits at all: a day without data,
        for CAISO is never without gas.

    What is below zero takes from the grid and so gets the mix that it is given: batteries that charge, and the needs
    of solar plants at night, are load and count in neither sum. So do the ties where they carry energy or, by the
    file's own account, carbon out. A battery that discharges is supply without emissions, as in CAISO's file:
    what it emitted counted when it charged, which leaves the evening somewhat too clean.
    """
    imports = supply["Imports"] >= 0 and co2["Imports CO2"] >= 0
    tons = [value for column, value in co2.items() if imports or column != "Imports CO2"]
    fed = sum(value for column, value in supply.items() if value > 0 and (imports or column != "Imports"))
    emitted = sum(tons)
    if fed <= 0 or emitted <= 0 or min(tons) < 0:
        return None
    value = G_PER_KWH_IN_ONE_T_PER_MWH * emitted / fed
    return value if math.isfinite(value) else None


def _clock(cell: str, line: int) -> time:
    if not CLOCK.fullmatch(cell.strip()):
        raise _garbled(f"line {line}: {cell!r} is no clock time of five minutes")
    return time.fromisoformat(cell.strip())


def _number(cell: str, line: int) -> float:
    try:
        return number(cell)
    except ValueError as error:
        raise _garbled(f"line {line}: {cell!r} is no finite number") from error


def _garbled(problem: str) -> SourceUnavailableError:
    return SourceUnavailableError(f"CAISO Outlook: {problem[:LONGEST_QUOTE]}", "it is asked again")
