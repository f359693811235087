"""OASIS: what its answers say and what they must not be taken for; asked over HTTP as the real one is."""

import asyncio
import io
import socket
import tracemalloc
import zipfile
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.oasis import DAY_AHEAD, LARGEST_MEMBER_BYTES, REAL_TIME, parse
from carbonshift.ingest.oasis_query import LONGEST_SPAN, spans
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.caiso_dam import CaisoDayAhead
from carbonshift.ingest.sources.caiso_rtm import CaisoRealTime
from carbonshift.ingest.web import WebPool

NODE = "TH_TEST-APND"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
REAL_TIME_COLUMNS = ("INTERVALSTARTTIME_GMT", "INTERVALENDTIME_GMT", "OPR_HR", "NODE_ID", "LMP_TYPE", "VALUE", "GROUP")
DAY_AHEAD_COLUMNS = ("MW", "LMP_TYPE", "GROUP", "NODE_ID", "INTERVALENDTIME_GMT", "INTERVALSTARTTIME_GMT")


def stamp(at):
    return f"{at:%Y-%m-%dT%H:%M:%S}-00:00"


def csv(prices, report=REAL_TIME, columns=REAL_TIME_COLUMNS, node=NODE):
    """An LMP row per (start, price), each after a row of another component."""
    step = timedelta(seconds=report.interval_seconds)
    lines = [",".join(columns)]
    for start, price in prices:
        for kind, value in (("MCC", "0.5"), ("LMP", price)):
            cells = {
                "INTERVALSTARTTIME_GMT": stamp(start),
                "INTERVALENDTIME_GMT": stamp(start + step),
                "NODE_ID": node,
                "LMP_TYPE": kind,
                report.price_column: str(value),
            }
            lines.append(",".join(cells.get(column, "1") for column in columns))
    return "\n".join(lines) + "\n"


def zipped(content, name="20260601_PRC_INTVL_LMP_RTM_v3.csv", **more):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in {name: content, **more}.items():
            archive.writestr(member, text)
    return body.getvalue()


def error_xml(code, text="words of OASIS"):
    return (
        '<?xml version="1.0"?><m:OASISReport xmlns:m="urn:test"><m:ERROR>'
        f"<m:ERR_CODE>{code}</m:ERR_CODE><m:ERR_DESC>{text}</m:ERR_DESC></m:ERROR></m:OASISReport>"
    )


def minutes(*offsets):
    return [NOON + timedelta(minutes=m) for m in offsets]


FIVE = minutes(0, 5, 10)
GOOD = csv(zip(FIVE, (31.5, -12, 0), strict=True))


def read(text, report=REAL_TIME):
    return parse(zipped(text), report, NODE)


def test_the_lmp_alone_is_read_and_put_in_order():
    rows = GOOD.splitlines()
    assert read("\r\n".join([rows[0], *reversed(rows[1:])])) == [
        Reading(start, price) for start, price in zip(FIVE, (31.5, -12.0, 0.0), strict=True)
    ]


def test_day_ahead_has_other_columns_in_another_order():
    hours = minutes(0, 60)
    text = csv(zip(hours, (40.25, 41), strict=True), DAY_AHEAD, DAY_AHEAD_COLUMNS)
    assert read(text, DAY_AHEAD) == [Reading(hours[0], 40.25), Reading(hours[1], 41.0)]


@pytest.mark.parametrize("blank", ["", " ", "null", "NULL"])
def test_a_blank_price_is_no_price(blank):
    assert read(csv([(NOON, blank)])) == [Reading(NOON, None)]


def test_an_interval_given_twice_counts_once_and_never_as_a_mean():
    assert read(csv([(NOON, "7.50"), (NOON, "7.5")])) == [Reading(NOON, 7.5)]
    assert read(csv([(NOON, "7"), (NOON, "9"), (NOON, "7")])) == [Reading(NOON, None)]
    assert read(csv([(NOON, "7"), (NOON, "")])) == [Reading(NOON, None)]


@pytest.mark.parametrize("code", ["1000", "1001"])
def test_no_data_is_no_error(code):
    assert parse(zipped(error_xml(code), "x.xml"), REAL_TIME, NODE) == []


@pytest.mark.parametrize("code", ["1003", "1006", "1010", "1012", "1013", "1015", "1999", ""])
def test_what_may_pass_or_is_unknown_is_worth_another_try(code):
    with pytest.raises(SourceUnavailableError, match=code or "no error code"):
        parse(zipped(error_xml(code), "x.XML"), REAL_TIME, NODE)


@pytest.mark.parametrize("code", ["1002", "1004", "1005", "1011", "1014", "1016", "1017", "1020", "INVALID_REQUEST"])
def test_a_refusal_names_the_code_and_the_words_of_oasis(code):
    with pytest.raises(SourceRefusedError, match=f"{code} words of OASIS"):
        parse(zipped(error_xml(code), "x.xml"), REAL_TIME, NODE)


def test_an_invalid_request_may_bear_its_name_alone():
    with pytest.raises(SourceRefusedError, match="INVALID_REQUEST"):
        parse(zipped("<m/>", "INVALID_REQUEST.xml"), REAL_TIME, NODE)


def encrypted():
    body = bytearray(zipped(GOOD))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(signature) + offset] |= 1
    return bytes(body)


def packed_otherwise():
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.csv", GOOD)
    return body.getvalue()


def wrong_checksum():
    body = bytearray(zipped(GOOD))
    body[body.index(b"PK\x01\x02") + 16] ^= 1
    return bytes(body)


EXPANDING = (
    """<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "1000"><!ENTITY b "&a;&a;">]><m><ERR_CODE>&a;</ERR_CODE></m>"""
)
OUTSIDE = (
    """<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/hostname">]><m><ERR_CODE>&a;</ERR_CODE></m>"""
)
NO_PRICES = ("nan", "-inf", "1e999", "9" * 400, "1_0", "٣", "x")
NO_STAMPS = (
    "2026-06-31T12:05:00-00:00",
    "2026-06-01T12:05:00-07:00",
    "2026-06-01T12:05",
    "",
    "٢026-06-01T12:05:00-00:00",
)
GARBLED = {
    "empty body": b"",
    "empty zip": b"PK\x05\x06" + 18 * b"\0",
    "cut short": zipped(GOOD)[:-30],
    "cut in the data": zipped(GOOD)[:80],
    "html": b"<!DOCTYPE html><html><body>We are down for maintenance</body></html>",
    "two members": zipped(GOOD, **{"y.csv": GOOD}),
    "many members": zipped(GOOD, **{f"{n}.csv": "" for n in range(99)}),
    "unexpected member": zipped(zipped(GOOD), "inner.zip"),
    "encrypted": encrypted(),
    "packed otherwise": packed_otherwise(),
    "wrong checksum": wrong_checksum(),
    "empty csv": zipped(""),
    "header alone": zipped(GOOD.splitlines()[0]),
    "not utf-8": zipped(GOOD.encode() + b"\xff\xfe"),
    "row cut short": zipped(GOOD[:-9]),
    "no xml": zipped("sorry", "x.xml"),
    "xml cut short": zipped(error_xml("1000")[:-5], "x.xml"),
    "xml with entities": zipped(EXPANDING, "x.xml"),
    "xml with a file": zipped(OUTSIDE, "x.xml"),
    "xml in no encoding": zipped('<?xml version="1.0" encoding="none"?><m/>', "x.xml"),
    "xml with a document type": zipped("<!DOCTYPE m><m><ERR_CODE>1000</ERR_CODE></m>", "x.xml"),
    "long xml": zipped(error_xml("1000", "x" * (2 << 20)), "x.xml"),
    "deep xml": zipped("<m>" * 100_000 + "</m>" * 100_000, "x.xml"),
    "bomb": zipped(b"\n" * (LARGEST_MEMBER_BYTES + 1)),
    "open quote": zipped(GOOD.replace("LMP,", '"LMP,', 1)),
    **{f"price {cell[:9]}": zipped(csv([(NOON, cell)])) for cell in NO_PRICES},
    **{f"stamp {bad}": zipped(GOOD.replace("2026-06-01T12:05:00-00:00", bad)) for bad in NO_STAMPS},
}


@pytest.mark.parametrize("body", GARBLED.values(), ids=GARBLED.keys())
def test_what_is_garbled_is_worth_another_try_and_no_price(body):
    with pytest.raises(SourceUnavailableError, match="OASIS") as caught:
        parse(body, REAL_TIME, NODE)
    assert len(str(caught.value)) < 300


def test_a_zip_that_unpacks_to_much_takes_little_memory():
    """Whatever its directory says of it; 128 MiB fit in 130 kB."""
    body = zipped(bytes(4 * LARGEST_MEMBER_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(SourceUnavailableError, match="more than 32 MiB"):
            parse(body, REAL_TIME, NODE)
        assert tracemalloc.get_traced_memory()[1] < 3 * LARGEST_MEMBER_BYTES
    finally:
        tracemalloc.stop()


def test_a_zip_of_many_members_is_not_even_listed():
    with pytest.raises(SourceUnavailableError, match="too many members"):
        parse(GARBLED["many members"], REAL_TIME, NODE)


OTHER = {
    "column gone": csv([(NOON, 1)]).replace("VALUE", "PRICE"),
    "column twice": csv([(NOON, 1)]).replace("GROUP", "VALUE"),
    "another node": csv([(NOON, 1)], node="TH_OTHER-APND"),
    "another step": csv([(NOON, 1)]).replace("12:05:00", "12:15:00"),
    "no step": csv([(NOON, 1)]).replace("12:05:00", "12:00:00"),
    "off the grid": csv([(NOON + timedelta(minutes=2), 1)]),
    "html in a csv": "<html>,</html>\n",
}


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER.keys())
def test_what_is_not_what_was_asked_for_is_refused(text):
    with pytest.raises(SourceRefusedError, match="OASIS"):
        read(text)


instants = st.integers(0, 10**10).map(lambda n: datetime(2019, 1, 1, tzinfo=UTC) + timedelta(milliseconds=n))


@given(start=instants, seconds=st.floats(-9e4, 2e7))
def test_spans_cover_all_that_was_asked_for_once(start, seconds):
    """No minute is asked for twice or not at all, and no span is longer than OASIS allows."""
    end = start + timedelta(seconds=seconds)
    found = spans(start, end)
    assert all(since < until <= since + LONGEST_SPAN for since, until in found)
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert all(at.second == at.microsecond == 0 for span in found for at in span)
    if start < end:
        assert timedelta(0) <= start - found[0][0] < timedelta(minutes=1)
        assert timedelta(0) <= found[-1][1] - end < timedelta(minutes=1)


@asynccontextmanager
async def serving(answer):
    """The base URL of a server on loopback that answers every request with what `answer` makes of it."""

    async def respond(request):
        return answer(request)

    app = Starlette(routes=[Route("/{path:path}", respond)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/oasisapi"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def source_of(kind, *bodies):
    """A source, and the requests that its OASIS got; each is answered with the next body, the last one again."""
    requests = []

    def answer(request):
        requests.append(request)
        return Response(bodies[min(len(requests), len(bodies)) - 1])

    async with serving(answer) as url, WebPool(deadline_seconds=5) as web:
        settings = IngestSettings(caiso_url=url, caiso_node=NODE, caiso_seconds_between_requests=0)
        yield kind(settings, web), requests


async def test_real_time_asks_as_the_specification_says():
    async with source_of(CaisoRealTime, zipped(GOOD)) as (source, requests):
        readings = await source.fetch(Signal.PRICE, "caiso", FIVE[1], FIVE[2])
    assert readings == [Reading(FIVE[1], -12.0)]
    assert requests[0].url.path == "/oasisapi/SingleZip"
    assert dict(requests[0].query_params) == {
        "resultformat": "6",
        "queryname": "PRC_INTVL_LMP",
        "version": "3",
        "market_run_id": "RTM",
        "node": NODE,
        "startdatetime": "20260601T12:05-0000",
        "enddatetime": "20260601T12:10-0000",
    }


async def test_day_ahead_asks_for_its_own_report():
    text = csv([(NOON, 40)], DAY_AHEAD, DAY_AHEAD_COLUMNS)
    async with source_of(CaisoDayAhead, zipped(text)) as (source, requests):
        assert await source.fetch(Signal.PRICE, "caiso", NOON, NOON + timedelta(days=1)) == [Reading(NOON, 40.0)]
    query = requests[0].query_params
    assert (query["queryname"], query["version"], query["market_run_id"]) == ("PRC_LMP", "12", "DAM")


async def test_seventy_days_are_asked_for_in_three_questions_one_after_the_other():
    hours = [NOON + timedelta(hours=n) for n in range(70 * 24)]
    body = zipped(csv(((at, at.hour) for at in hours), DAY_AHEAD, DAY_AHEAD_COLUMNS))
    async with source_of(CaisoDayAhead, body) as (source, requests):
        readings = await source.fetch(Signal.PRICE, "caiso", NOON, NOON + timedelta(days=70))
    assert [reading.interval_start for reading in readings] == hours
    asked = [(r.query_params["startdatetime"], r.query_params["enddatetime"]) for r in requests]
    assert asked == [
        ("20260601T12:00-0000", "20260701T12:00-0000"),
        ("20260701T12:00-0000", "20260731T12:00-0000"),
        ("20260731T12:00-0000", "20260810T12:00-0000"),
    ]


@pytest.mark.parametrize("first", [zipped(error_xml("1015"), "x.xml"), zipped(GOOD)[:-30], b"<html>busy</html>"])
async def test_an_answer_that_may_pass_is_asked_for_again(first):
    async with source_of(CaisoRealTime, first, zipped(GOOD)) as (source, requests):
        readings = await source.fetch(Signal.PRICE, "caiso", FIVE[0], FIVE[2])
    assert [reading.value for reading in readings] == [31.5, -12.0]
    assert len(requests) == 2


async def test_no_data_is_an_answer():
    async with source_of(CaisoRealTime, zipped(error_xml("1000"), "x.xml")) as (source, requests):
        assert await source.fetch(Signal.PRICE, "caiso", NOON, FIVE[2]) == []
    assert len(requests) == 1


async def test_a_refusal_is_not_repeated():
    async with source_of(CaisoRealTime, zipped(error_xml("1014"), "x.xml")) as (source, requests):
        with pytest.raises(SourceRefusedError, match="1014"):
            await source.fetch(Signal.PRICE, "caiso", NOON, FIVE[2])
    assert len(requests) == 1
