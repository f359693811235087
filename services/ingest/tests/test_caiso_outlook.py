"""Today's Outlook: whose CO2, over what energy, at which instant; asked over HTTP as the real one is."""

import asyncio
import socket
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.caiso_outlook import (
    CO2,
    FUELS,
    ZONE,
    CaisoOutlook,
    intensity,
    is_of_today,
    parse_table,
    readings,
)
from carbonshift.ingest.web import WebPool

DAY = date(2026, 6, 10)
DAY_CLOCKS = [time(n // 12, n % 12 * 5) for n in range(288)]
EMITTED = {"Natural Gas CO2": 3000.0, "Imports CO2": 1000.0, "Geothermal CO2": 10.0}
SUPPLIED = {
    "Solar": 5000.0,
    "Wind": 2000.0,
    "Nuclear": 2250.0,
    "Natural Gas": 7000.0,
    "Large Hydro": 1000.0,
    "Batteries": 0.0,
    "Imports": 2750.0,
}


def table(row, clocks=DAY_CLOCKS, **cells):
    """A file with `row` at each clock time; `cells` replaces what stands at a clock time, such as `t0205=""`."""
    lines = [",".join(("Time", *row))]
    for clock in clocks:
        values = cells.get(f"t{clock:%H%M}", ",".join(str(value) for value in row.values()))
        lines.append(f"{clock:%H:%M},{values or ',' * (len(row) - 1)}")
    return "\r\n".join(lines) + "\r\n"


def parsed(text, needed=CO2):
    return parse_table(text.encode(), needed)


def test_intensity_is_tons_over_megawatt_hours():
    """4,010 t/h over 20,000 MW."""
    assert intensity(EMITTED, SUPPLIED) == pytest.approx(200.5)


@pytest.mark.parametrize("draw", [{"Batteries": -4000.0}, {"Solar": -40.0, "Wind": 7000.0}])
def test_what_takes_from_the_grid_is_no_supply(draw):
    assert intensity(EMITTED, SUPPLIED | draw) == pytest.approx(200.5)


def test_a_battery_that_discharges_is_supply():
    assert intensity(EMITTED, SUPPLIED | {"Batteries": 4000.0}) == pytest.approx(4_010_000 / 24_000)


@pytest.mark.parametrize(
    ("tons", "megawatts"), [(-900.0, -3000.0), (-900.0, 500.0), (200.0, -3000.0)], ids=["both out", "carbon", "energy"]
)
def test_exports_get_the_mix_of_the_rest(tons, megawatts):
    """3,010 t/h over 17,250 MW, whatever the ties are booked at."""
    value = intensity(EMITTED | {"Imports CO2": tons}, SUPPLIED | {"Imports": megawatts})
    assert value == pytest.approx(3_010_000 / 17_250)


@pytest.mark.parametrize(
    ("co2", "supply"),
    [
        (EMITTED, dict.fromkeys(SUPPLIED, 0.0)),
        (EMITTED, dict.fromkeys(SUPPLIED, -1.0)),
        (dict.fromkeys(EMITTED, 0.0), SUPPLIED),
        (EMITTED | {"Natural Gas CO2": -1.0}, SUPPLIED),
        (EMITTED | {"Natural Gas CO2": 1e308, "Imports CO2": 1e308}, SUPPLIED),
        (EMITTED, dict.fromkeys(SUPPLIED, 0.0) | {"Wind": 5e-324}),
    ],
)
def test_what_cannot_be_has_no_value(co2, supply):
    """All zero among it: a file without data is no clean grid."""
    assert intensity(co2, supply) is None


megawatts = st.integers(0, 30_000)


@given(fuels=st.fixed_dictionaries(dict.fromkeys(SUPPLIED, megawatts)), tons=megawatts, factor=st.floats(0.5, 2))
def test_twice_the_grid_is_as_clean(fuels, tons, factor):
    """A change of unit, or of a grid's size, changes no intensity."""
    emitted = EMITTED | {"Imports CO2": tons}
    value = intensity(emitted, fuels)
    larger = intensity({k: v * factor for k, v in emitted.items()}, {k: v * factor for k, v in fuels.items()})
    assert (larger is None) == (value is None) == (not any(fuels.values()))
    assert value is None or larger == pytest.approx(value, rel=1e-9)


def test_a_day_is_read_by_the_clock_of_its_place():
    found = readings(parsed(table(EMITTED)), parsed(table(SUPPLIED), FUELS), DAY)
    midnight = datetime(2026, 6, 10, 7, tzinfo=UTC)
    assert [r.interval_start for r in found] == [midnight + timedelta(minutes=5 * n) for n in range(288)]
    assert [r.value for r in found] == pytest.approx([200.5] * 288)


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1)])
def test_an_hour_that_the_clock_skips_or_repeats_has_no_reading(day):
    """In spring its rows are blank; in autumn it is there once, and could be either. 276 intervals are left in both."""
    hour = 2 if day.month == 3 else 1
    blank = {f"t{hour:02}{minute:02}": "" for minute in range(0, 60, 5)} if day.month == 3 else {}
    for cells in (blank, {}):  # rows of an hour that never was, were they filled, would be no better
        found = readings(parsed(table(EMITTED, **cells)), parsed(table(SUPPLIED, **cells), FUELS), day)
        local = [r.interval_start.astimezone(ZONE) for r in found]
        assert len(found) == 276
        assert hour not in {at.hour for at in local}
        assert all(later.interval_start > r.interval_start for r, later in pairwise(found))


def test_the_midnight_at_the_end_belongs_to_another_day():
    text = table(EMITTED) + "00:00,9000,1,1\r\n"
    assert parsed(text)[time()] == EMITTED
    assert len(parsed(text)) == 288
    assert time() not in parsed(table(EMITTED, DAY_CLOCKS[1:]) + "00:00,9000,1,1\r\n")


def test_a_row_with_a_blank_cell_is_not_there():
    assert list(parsed(table(EMITTED, DAY_CLOCKS[:4], t0005="3000,,10", t0010=""))) == [time(0, 0), time(0, 15)]


def test_a_clock_time_with_two_different_rows_is_not_there():
    clocks = [*DAY_CLOCKS[:3], time(0, 5)]
    assert len(parsed(table(EMITTED, clocks))) == 3
    assert list(parsed(table(EMITTED, clocks[:3]) + "00:05,1,1,1\r\n")) == [time(0, 0), time(0, 10)]


def test_a_last_number_that_may_be_cut_is_not_read():
    assert list(parsed(table(EMITTED, DAY_CLOCKS[:3])[:-3])) == DAY_CLOCKS[:2]


def test_rows_out_of_order_are_put_in_order():
    co2 = parsed(table(EMITTED, [time(0), time(0, 15), time(0, 5)]))
    found = readings(co2, parsed(table(SUPPLIED), FUELS), DAY)
    assert [r.interval_start.minute for r in found] == [0, 5, 15]


def test_a_fuel_of_tomorrow_is_counted():
    further = parsed(table({"Hydrogen": 20_000.0, **SUPPLIED}, DAY_CLOCKS[:1]), FUELS)
    assert intensity(EMITTED, further[time()]) == pytest.approx(100.25)


ROWS = DAY_CLOCKS[:3]
NO_NUMBERS = ("nan", "inf", "1e999", "9" * 400, "٣", "x")
GARBLED = {
    "empty": b"",
    "nothing but a mark": b"\xef\xbb\xbf",
    "html": b"\n<!DOCTYPE html><html></html>",
    "header cut short": b"Time,Natural Gas CO2,Impo",
    "row cut short": table(EMITTED, ROWS).encode()[:-12],
    "not utf-8": table(EMITTED, ROWS).encode() + b"\xff",
    "clock": table(EMITTED, ROWS).replace("00:05", "00:07").encode(),
    "hour": table(EMITTED, ROWS).replace("00:05", "24:05").encode(),
    "no clock": table(EMITTED, ROWS).replace("00:05", "").encode(),
    "open quote": table(EMITTED, ROWS).replace("3000", '"3000').encode(),
    **{f"cell {cell[:9]}": table(EMITTED, ROWS, t0005=f"{cell},1,1").encode() for cell in NO_NUMBERS},
}


@pytest.mark.parametrize("body", GARBLED.values(), ids=GARBLED.keys())
def test_what_is_garbled_is_worth_another_try_and_no_carbon(body):
    with pytest.raises(SourceUnavailableError, match="CAISO Outlook"):
        parse_table(body, CO2)


@pytest.mark.parametrize("header", ["Clock,Natural Gas CO2,Imports CO2", "Time,Gas,Imports CO2", "Time,a,a", "Time"])
def test_other_columns_are_refused(header):
    with pytest.raises(SourceRefusedError, match="columns"):
        parsed(f"{header}\n00:00,1,2\n")
    with pytest.raises(SourceRefusedError, match="columns"):
        parsed(table(EMITTED), FUELS)


def local(hour, minute, day=DAY):
    return datetime.combine(day, time(hour, minute), ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("last", "now", "today"),
    [
        (time(11, 55), local(12, 1), True),
        (time(12, 0), local(11, 59), True),  # its clock may be a little ahead of ours
        (time(23, 55), local(0, 3), False),  # yesterday's, a moment after midnight
        (time(10, 0), local(23, 0), False),  # stood still: at ten today, or at ten yesterday?
        (time(0, 0), local(0, 3), True),
    ],
)
def test_a_file_without_a_date_is_of_today_by_its_last_row(last, now, today):
    clocks = [clock for clock in DAY_CLOCKS if clock <= last]
    blank = {f"t{clock:%H%M}": "" for clock in DAY_CLOCKS if clock > last}
    assert is_of_today(parsed(table(EMITTED, clocks)), now) is today
    assert is_of_today(parsed(table(EMITTED, **blank)), now) is today
    assert not is_of_today({}, now)


@asynccontextmanager
async def outlook(files):
    """A source, and the paths that were asked for; a path without a file is a 404."""
    paths = []

    async def respond(request):
        paths.append(request.url.path)
        text = files.get(request.url.path)
        return PlainTextResponse(text or "no such file", 200 if text else 404)

    app = Starlette(routes=[Route("/{path:path}", respond)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/outlook"
        try:
            async with WebPool(deadline_seconds=5) as web:
                yield CaisoOutlook(IngestSettings(caiso_outlook_url=url), web), paths
        finally:
            server.should_exit = True
            await task


def files(folder, emitted=EMITTED, until=time(23, 55)):
    blank = {f"t{clock:%H%M}": "" for clock in DAY_CLOCKS if clock > until}
    return {
        f"/outlook/{folder}/co2.csv": table(emitted, **blank),
        f"/outlook/{folder}/fuelsource.csv": table(SUPPLIED, **blank),
    }


async def test_today_is_current_and_the_days_before_are_history():
    dirty = EMITTED | {"Natural Gas CO2": 5000.0}
    both = files("history/20260609") | files("current", dirty, until=time(0, 55))
    async with outlook(both) as (source, paths):
        found = await source.fetch_as_of(local(1, 2), local(23, 50, date(2026, 6, 9)), local(2, 0))
    assert found[:3] == [
        Reading(local(23, 50, date(2026, 6, 9)), pytest.approx(200.5)),
        Reading(local(23, 55, date(2026, 6, 9)), pytest.approx(200.5)),
        Reading(local(0, 0), pytest.approx(300.5)),
    ]
    assert (len(found), found[-1].interval_start) == (14, local(0, 55))
    assert paths == [f"/outlook/{f}/{n}.csv" for f in ("history/20260609", "current") for n in ("co2", "fuelsource")]


async def test_what_is_still_yesterdays_is_not_taken_for_todays():
    async with outlook(files("current") | files("history/20260609")) as (source, _):
        found = await source.fetch_as_of(local(0, 3), local(23, 50, date(2026, 6, 9)), local(1, 0))
        assert [r.interval_start for r in found] == [local(23, n, date(2026, 6, 9)) for n in (50, 55)]
        with pytest.raises(SourceUnavailableError, match="no recent row of 2026-06-10"):
            await source.fetch_as_of(local(0, 3), local(0, 0), local(1, 0))


async def test_a_day_without_a_file_withholds_no_other():
    async with outlook(files("current", until=time(0, 55))) as (source, _):
        found = await source.fetch_as_of(local(1, 2), local(12, 0, date(2026, 6, 8)), local(2, 0))
        assert [r.interval_start for r in found] == [local(0, 5 * n) for n in range(12)]
        with pytest.raises(SourceRefusedError, match="404"):
            await source.fetch_as_of(local(1, 2), local(12, 0, date(2026, 6, 8)), local(0, 0))


async def test_a_page_in_place_of_today_is_refused():
    async with outlook(files("history/20260609")) as (source, _):
        with pytest.raises(SourceRefusedError, match="404"):
            await source.fetch_as_of(local(1, 2), local(12, 0, date(2026, 6, 9)), local(2, 0))


async def test_a_span_of_last_year_asks_for_history_alone():
    async with outlook(files("history/20250610")) as (source, paths):
        start = local(12, 0, date(2025, 6, 10))
        assert len(await source.fetch(Signal.CARBON, "caiso", start, start + timedelta(hours=1))) == 12
    assert paths == [f"/outlook/history/20250610/{name}.csv" for name in ("co2", "fuelsource")]
