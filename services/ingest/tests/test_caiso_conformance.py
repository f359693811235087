"""CAISO's parsers before whatever a network can do to a body: to ours, and to recorded ones where they are at hand."""

import csv
import gzip
import io
import math
import random
import re
import zipfile
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.oasis import DAY_AHEAD, REAL_TIME, parse
from carbonshift.ingest.sources.caiso_outlook import CO2, FUELS, ZONE, parse_table, readings

ROOT = Path(__file__).parents[3]
RECORDED = ROOT.parent / "shared" / "raw-api"
recorded = pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded answers beside this checkout")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NODE = "TH_TEST-APND"
DAY = date(2026, 6, 1)
EMITTERS = CO2 | {"Geothermal CO2"}
SUPPLIERS = FUELS | {"Batteries"}


def zipped(content, name="x.csv"):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return body.getvalue()


def oasis_csv():
    lines = ["INTERVALSTARTTIME_GMT,INTERVALENDTIME_GMT,NODE_ID,LMP_TYPE,VALUE"]
    for n in range(12):
        start, end = (f"{NOON + timedelta(minutes=5 * m):%Y-%m-%dT%H:%M:%S}-00:00" for m in (n, n + 1))
        lines += [f"{start},{end},{NODE},{kind},{price}" for kind, price in (("MCC", 1.5), ("LMP", n * 7.25 - 20))]
    return "\n".join([lines[0], *reversed(lines[1:])]).encode() + b"\n"


ERROR = b'<?xml version="1.0"?><m:R xmlns:m="urn:x"><m:ERR_CODE>1000</m:ERR_CODE><m:ERR_DESC>none</m:ERR_DESC></m:R>'


def outlook_csv(columns, rows=12):
    lines = [",".join(("Time", *sorted(columns)))]
    for n in range(rows):
        cells = (str((n + 3) * (k + 2) * 10) for k in range(len(columns)))
        lines.append(f"{n // 12:02}:{n % 12 * 5:02},{','.join(cells)}")
    return "\r\n".join(lines).encode() + b"\r\n"


CELLS = (
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"",
    b"null",
    b"9" * 400,
    "٣".encode(),
    b"1_000",
    b"-0",
    b"<",
    b'"',
    b"1e308",
)
DOCTYPE = b'<!DOCTYPE m [<!ENTITY a "1000"><!ENTITY b "&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/hostname">]>'


def damaged(body, kinds, most, chance):
    """`body` after up to `most` kinds of damage, at places that `chance` picks."""
    for kind in chance.choices(kinds, k=chance.randrange(most + 1)):
        body = (damaged_row if kind in ROWS else damaged_bytes)(body, kind, chance)
    return body


def damaged_bytes(body, kind, chance):
    at, to = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    match kind:
        case "flip":
            return body[:at] + bytes(byte ^ (1 << chance.randrange(8)) for byte in body[at : at + 1]) + body[at + 1 :]
        case "cut":
            return body[:at]
        case "insert":
            return body[:at] + chance.randbytes(chance.randrange(1, 9)) + body[at:]
        case "lose":
            return body[:at] + body[to:]
        case "repeat":
            return body[:to] + body[at:]
    entity = b">&%c;<" % chance.choice(b"abc")
    return body.replace(b"?>", b"?>" + DOCTYPE).replace(b">1000<", entity)


def damaged_row(body, kind, chance):
    lines = body.split(b"\n")
    at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
    match kind:
        case "drop row":
            del lines[at]
        case "repeat row":
            lines.insert(to, lines[at])
        case "swap rows":
            lines[at], lines[to] = lines[to], lines[at]
        case "short row":
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        case "cell":
            cells = lines[at].split(b",")
            cells[chance.randrange(len(cells))] = chance.choice((*CELLS, b"%d" % chance.randrange(-99, 9999)))
            lines[at] = b",".join(cells)
    return b"\n".join(lines)


BYTES = ("flip", "cut", "insert", "lose", "repeat")
ROWS = ("drop row", "repeat row", "swap rows", "cell", "cell", "short row")
TEXT = (*BYTES, *ROWS, "doctype")
seeds = st.integers(0, 2**32)  # one draw an example: where thousands are to run, more would cost more than the parsers


def orderly(found):
    """Every instant once, in order and in UTC, each value a finite number or none."""
    assert all(before.interval_start < after.interval_start for before, after in pairwise(found))
    assert all(r.interval_start.utcoffset() == timedelta(0) for r in found)
    assert all(r.value is None or math.isfinite(r.value) for r in found)
    return found


def states(cell, value):
    """Whether a cell says this number, read by other means than the parsers' own."""
    try:
        return float(Decimal(cell)) == value
    except (InvalidOperation, OverflowError):
        return False


def cells_of(body):
    """Every line of a body that has gone through who knows what."""
    text = body.decode("utf-8-sig", "replace").replace('"', "")
    return [line.split(",") for line in re.split("[\r\n]+", text)]


def oasis_holds(text, body, report, node):
    """What the body gives, if anything, is orderly and an LMP row of `text` says so; True where it gave something."""
    try:
        found = orderly(parse(body, report, node))
    except (SourceUnavailableError, SourceRefusedError):
        return False
    said = defaultdict(list)
    for cells in cells_of(text):
        for cell in cells:
            if cell.endswith("-00:00") and "LMP" in cells:
                said[cell] += cells
    for reading in found:
        stamp = f"{reading.interval_start:%Y-%m-%dT%H:%M:%S}-00:00"
        assert reading.value is None or any(states(cell, reading.value) for cell in said[stamp])
    return True


def outlook_holds(co2, supply, day):
    """What two bodies give, if anything, is orderly, and the quotient of their sums; True where they gave something."""
    try:
        found = orderly(readings(parse_table(co2, CO2), parse_table(supply, FUELS), day))
    except (SourceUnavailableError, SourceRefusedError):
        return False
    tons, megawatts = sums(co2), sums(supply)
    for reading in found:
        clock = f"{reading.interval_start.astimezone(ZONE):%H:%M}"
        quotients = [
            1000 * t / mw for ts in tons[clock] for mws in megawatts[clock] for t, mw in zip(ts, mws, strict=True) if mw
        ]
        assert reading.value is None or any(math.isclose(reading.value, q, rel_tol=1e-9) for q in quotients)
    return True


def sums(body):
    """What the cells above zero of a row come to, without the ties and with them, by clock time."""
    header, *rows = cells_of(body)
    ties = [column.strip().startswith("Imports") for column in header[1:]]
    found = defaultdict(list)
    for clock, *cells in rows:
        try:
            above = [max(0.0, float(Decimal(cell.strip()))) for cell in cells]
        except (InvalidOperation, OverflowError):
            continue
        local = sum(value for value, tie in zip(above, ties, strict=False) if not tie)
        found[clock.strip()].append((local, sum(above)))
    return found


def test_what_is_not_damaged_is_read():
    """What follows would hold of a parser that never gives anything."""
    assert oasis_holds(oasis_csv(), zipped(oasis_csv()), REAL_TIME, NODE)
    assert outlook_holds(outlook_csv(EMITTERS), outlook_csv(SUPPLIERS), DAY)


@settings(max_examples=2_000)
@given(seeds)
def test_no_damage_makes_a_price_of_oasis_that_it_did_not_state(seed):
    chance = random.Random(seed)
    content, name = chance.choice(((oasis_csv(), "x.csv"), (oasis_csv(), "x.csv"), (ERROR, "x.xml")))
    content = damaged(content, TEXT, 3, chance)
    oasis_holds(content, damaged(zipped(content, name), BYTES, 1, chance), REAL_TIME, NODE)


@settings(max_examples=2_000)
@given(seeds)
def test_no_damage_makes_a_carbon_intensity_that_the_outlook_did_not_state(seed):
    chance = random.Random(seed)
    co2, supply = (damaged(outlook_csv(columns), TEXT, 2, chance) for columns in (EMITTERS, SUPPLIERS))
    outlook_holds(co2, supply, DAY)


def of_one_node(text):
    """The rows of the node that comes first, and the node: those who recorded these asked for several at once."""
    header, *lines = text.decode().splitlines()
    node = lines[0].split(",")[header.split(",").index("NODE_ID")]
    return "\n".join([header, *(line for line in lines if f",{node}," in line)]).encode(), node


@cache
def day_ahead(day):
    """A live answer, unpacked."""
    (file,) = (RECORDED / "caiso_oasis").glob(f"{day}_*_PRC_LMP_DAM_*")
    if file.suffix == ".gz":
        return gzip.decompress(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        return archive.read(archive.namelist()[0])


@recorded
@pytest.mark.parametrize(
    ("day", "rows", "hours", "first", "last"),
    [
        ("20200501", 2_400, 600, "2020-05-05T07Z", "2020-05-31T06Z"),
        ("20240418", 160, 32, "2024-04-18T23Z", "2024-04-20T06Z"),
    ],
)
def test_a_live_answer_of_the_day_ahead_market_is_read(day, rows, hours, first, last):
    """Out of order as they came, four or five rows for an hour."""
    text, node = of_one_node(day_ahead(day))
    assert len(text.splitlines()) == 1 + rows
    found = orderly(parse(zipped(text), DAY_AHEAD, node))
    starts = [f"{reading.interval_start:%Y-%m-%dT%HZ}" for reading in found]
    assert (len(found), starts[0], starts[-1]) == (hours, first, last)
    table = csv.DictReader(io.StringIO(text.decode()))
    told = {row["INTERVALSTARTTIME_GMT"]: float(row["MW"]) for row in table if row["LMP_TYPE"] == "LMP"}
    assert {f"{r.interval_start:%Y-%m-%dT%H:%M:%S}-00:00": r.value for r in found} == told


@recorded
def test_a_live_zip_for_several_nodes_is_refused():
    (file,) = (RECORDED / "caiso_oasis").glob("20240418_*_PRC_LMP_DAM_*.zip")
    with pytest.raises(SourceRefusedError, match="asked for TH_TEST-APND, answers for"):
        parse(file.read_bytes(), DAY_AHEAD, NODE)
    with pytest.raises(SourceRefusedError, match="columns"):
        parse(file.read_bytes(), REAL_TIME, NODE)


@recorded
def test_a_live_answer_of_the_real_time_market_is_read():
    text = (RECORDED / "caiso_oasis" / "PRC_INTVL_LMP_RTM_5min_3rows.csv").read_bytes()
    (told,) = (row["VALUE"] for row in csv.DictReader(io.StringIO(text.decode())) if row["LMP_TYPE"] == "LMP")
    (reading,) = parse(zipped(text), REAL_TIME, "TH_NP15_GEN-APND")
    assert (reading.interval_start, reading.value) == (datetime(2025, 7, 18, 7, tzinfo=UTC), float(told))


@recorded
@pytest.mark.parametrize("report", ["SLD_REN_FCST_DAM", "SLD_FCST_7DA"])
def test_a_live_answer_of_another_report_is_refused(report):
    (file,) = (RECORDED / "caiso_oasis").glob(f"*_{report}_*.zip")
    with pytest.raises(SourceRefusedError, match="columns"):
        parse(file.read_bytes(), DAY_AHEAD, NODE)


@recorded
def test_live_errors_say_what_they_mean():
    folder = RECORDED / "caiso_oasis"
    assert parse((folder / "err1000_rezipped.zip").read_bytes(), REAL_TIME, NODE) == []
    assert parse(zipped((folder / "err1000_no_data_verbatim.xml").read_bytes(), "x.xml"), REAL_TIME, NODE) == []
    with pytest.raises(SourceUnavailableError, match="1015 GroupZip DownLoad is in Processing"):
        parse(zipped((folder / "err1015_processing_reassembled.xml").read_bytes(), "x.xml"), REAL_TIME, NODE)


@recorded
def test_a_live_day_of_fuels_has_288_rows():
    supply = parse_table((RECORDED / "caiso_outlook" / "fuelsource_20230101.csv").read_bytes(), FUELS)
    assert len(supply) == 288
    assert all(len(row) == 13 for row in supply.values())


@recorded
def test_a_live_file_of_co2_makes_a_plausible_intensity():
    """One row, of a day that is not known; that of the fuels is another day's, so a plausible size is all it shows."""
    co2 = parse_table((RECORDED / "caiso_outlook" / "co2_csv_header_and_one_row.csv").read_bytes(), CO2)
    supply = parse_table((RECORDED / "caiso_outlook" / "fuelsource_20230101.csv").read_bytes(), FUELS)
    (reading,) = readings(co2, supply, date(2023, 1, 1))
    assert reading.interval_start == datetime(2023, 1, 1, 8, tzinfo=UTC)
    tons, megawatts = co2[time(0)].values(), supply[time(0)].values()
    assert reading.value == pytest.approx(1_000 * sum(tons) / sum(mw for mw in megawatts if mw > 0))


@recorded
def test_a_live_day_on_which_clocks_go_forward_has_276_intervals():
    body = (RECORDED / "caiso_outlook" / "netdemand_20190310_dst_start.csv").read_bytes()
    table = parse_table(body, frozenset({"Current demand"}))
    assert len(table) == 276
    fuels = {clock: dict.fromkeys(FUELS, 1.0) for clock in table}
    co2 = {clock: dict.fromkeys(CO2, 1.0) for clock in table}
    found = readings(co2, fuels, date(2019, 3, 10))
    assert (len(found), found[0].interval_start) == (276, datetime(2019, 3, 10, 8, tzinfo=UTC))
    assert all(
        after.interval_start - before.interval_start == timedelta(minutes=5) for before, after in pairwise(found)
    )


@cache
def recorded_seeds():
    """Live bodies, short enough to be damaged thousands of times: what reads them, and what they hold."""
    folder = RECORDED / "caiso_oasis"
    found = [of_one_node(day_ahead(day)) for day in ("20200501", "20240418")]
    return [
        *((b"\n".join(text.split(b"\n")[:60]), "x.csv", DAY_AHEAD, node) for text, node in found),
        ((folder / "PRC_INTVL_LMP_RTM_5min_3rows.csv").read_bytes(), "x.csv", REAL_TIME, "TH_NP15_GEN-APND"),
        ((folder / "err1000_no_data_verbatim.xml").read_bytes(), "x.xml", REAL_TIME, NODE),
        ((folder / "err1015_processing_reassembled.xml").read_bytes(), "x.xml", REAL_TIME, NODE),
    ]


@recorded
@settings(max_examples=2_000)
@given(seeds)
def test_no_damage_to_a_live_answer_makes_a_price(seed):
    chance = random.Random(seed)
    content, name, report, node = chance.choice(recorded_seeds())
    content = damaged(content, TEXT, 3, chance)
    oasis_holds(content, damaged(zipped(content, name), BYTES, 1, chance), report, node)


@recorded
@settings(max_examples=2_000)
@given(seeds)
def test_no_damage_to_a_live_day_makes_a_carbon_intensity(seed):
    chance = random.Random(seed)
    co2, supply = (damaged(body, TEXT, 2, chance) for body in recorded_day())
    outlook_holds(co2, supply, date(2023, 1, 1))


@cache
def recorded_day():
    """The live CO2, and the beginning of the live fuels."""
    folder = RECORDED / "caiso_outlook"
    supply = (folder / "fuelsource_20230101.csv").read_bytes().split(b"\n")[:20]
    return (folder / "co2_csv_header_and_one_row.csv").read_bytes(), b"\n".join(supply)
