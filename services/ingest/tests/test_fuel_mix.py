"""What providers say of their fuels: watts by the names we use, nothing guessed, nothing that was estimated."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import Fuel
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.fuel_mix import Supply
from carbonshift.ingest.sources.caiso_outlook import FUEL_OF, FUELS, by_fuel, parse_table, supplies
from carbonshift.ingest.sources.electricitymaps import parse_breakdown

RECORDED = Path(__file__).parents[3].parent / "shared" / "raw-api"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def recorded(name):
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the recorded answers of the providers are not here")
    return path.read_bytes()


# CAISO Today's Outlook


def test_the_columns_of_one_fuel_are_summed():
    row = {"Small hydro": 100.0, "Large Hydro": 900.0, "Biomass": 20.0, "Biogas": 30.0, "Natural Gas": 5.5}
    assert by_fuel(row) == {Fuel.HYDRO: 1e9, Fuel.BIOMASS: 5e7, Fuel.GAS: 5.5e6}


def test_what_takes_from_the_grid_stays_below_zero():
    assert by_fuel({"Batteries": -2_000.0, "Imports": -1.0, "Solar": -37.0}) == {
        Fuel.BATTERIES: -2e9,
        Fuel.IMPORTS: -1e6,
        Fuel.SOLAR: -3.7e7,
    }


@given(st.dictionaries(st.sampled_from([*FUEL_OF, "Other", "Hydrogen"]), st.integers(-30_000, 30_000)))
def test_no_column_is_lost(row):
    assert sum(by_fuel(row).values()) == 1e6 * sum(row.values())
    assert (Fuel.OTHER in by_fuel(row)) == bool({"Other", "Hydrogen"} & row.keys())


def test_an_hour_that_the_clock_repeats_has_no_mix():
    lines = [f"{n // 12:02}:{n % 12 * 5:02}{',1' * len(FUELS)}" for n in range(288)]
    table = parse_table("\n".join([",".join(["Time", *FUELS]), *lines, ""]).encode(), FUELS)
    found = supplies(table, date(2026, 11, 1))
    assert len(found) == 276
    assert found == sorted(found, key=lambda supply: supply.interval_start)


def test_a_recorded_day_is_understood_whole():
    told = supplies(parse_table(recorded("caiso_outlook/fuelsource_20230101.csv"), FUELS), date(2023, 1, 1))
    assert len(told) == 288
    assert told[0].interval_start == datetime(2023, 1, 1, 8, tzinfo=UTC)
    assert told[0].power_w[Fuel.HYDRO] == 1_668e6
    assert told[0].power_w.keys() == {*Fuel} - {Fuel.OIL, Fuel.PUMPED_HYDRO}


# Electricity Maps


def hour(at, production, **changes):
    said = {
        "zone": "DE",
        "datetime": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "powerProductionBreakdown": production,
        "powerImportTotal": 300,
        "powerExportTotal": 1_000.5,
        "isEstimated": False,
    }
    return {key: value for key, value in (said | changes).items() if value is not ...}


def body(*hours, **more):
    return json.dumps({"zone": "DE", "history": list(hours)} | more).encode()


def test_megawatts_become_watts_by_name_and_what_nobody_knows_is_left_out():
    production = {
        "wind": 10,
        "solar": 0,
        "nuclear": None,
        "hydro": 5.5,
        "hydro discharge": -3,
        "battery discharge": 2,
        "unknown": 1,
        "fusion": 2,
    }
    (told,) = parse_breakdown(body(hour(NOON, production)), "DE")
    assert told == Supply(
        NOON,
        {
            Fuel.WIND: 1e7,
            Fuel.SOLAR: 0.0,
            Fuel.HYDRO: 5.5e6,
            Fuel.PUMPED_HYDRO: -3e6,
            Fuel.BATTERIES: 2e6,
            Fuel.OTHER: 3e6,
            Fuel.IMPORTS: -700.5e6,
        },
    )


def test_an_hour_that_is_estimated_or_unknown_is_none():
    gas = {"gas": 1}
    hours = (
        hour(NOON, gas, isEstimated=True),
        hour(NOON + HOUR, {"gas": None}),
        hour(NOON + 2 * HOUR, None),
        hour(NOON + 4 * HOUR, gas, powerImportTotal=None),
        hour(NOON + 3 * HOUR, gas, isEstimated=..., powerExportTotal=...),
    )
    assert parse_breakdown(body(*hours), "DE") == [Supply(NOON + n * HOUR, {Fuel.GAS: 1e6}) for n in (3, 4)]


@pytest.mark.parametrize(
    "answer",
    [
        body(hour(NOON, {"gas": 1}), zone="FR"),
        body(hour(NOON, {"gas": 1}, zone="FR")),
        body(hour(NOON, {"gas": 1}, temporalGranularity="daily")),
    ],
)
def test_an_answer_about_something_else_is_refused(answer):
    with pytest.raises(SourceRefusedError):
        parse_breakdown(answer, "DE")


@pytest.mark.parametrize(
    "hours",
    [
        [hour(NOON, {"gas": "1"})],
        [hour(NOON, {"gas": float("nan")})],
        [hour(NOON, ...)],
        [hour(NOON, {"gas": 1}, isEstimated="no")],
        [hour(NOON + timedelta(minutes=5), {"gas": 1})],
        [hour(NOON, {"gas": 1}), hour(NOON, {"gas": 2})],
    ],
)
def test_what_no_one_can_rely_on_is_an_error(hours):
    with pytest.raises(SourceUnavailableError):
        parse_breakdown(body(*hours), "DE")


def test_a_recorded_history_is_understood():
    told = parse_breakdown(recorded("electricitymaps_v3/aioelectricitymaps_power_breakdown_history.json"), "DE")
    hours = json.loads(recorded("electricitymaps_v3/aioelectricitymaps_power_breakdown_history.json"))["history"]
    assert len(told) == sum(not hour["isEstimated"] for hour in hours) > 0
    assert told[0].power_w[Fuel.WIND] == 12_590e6
    assert Fuel.NUCLEAR not in told[0].power_w
