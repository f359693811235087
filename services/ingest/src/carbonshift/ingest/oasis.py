"""Prices out of an answer of CAISO OASIS. Pure: no clock, no I/O.

An answer is a zip with one member, under HTTP 200 whatever it says: a CSV of prices, or an XML that says why there is
none. Source: CAISO, Interface Specification for OASIS, 5.1.1 (error codes); recorded answers (columns).
"""

import csv
import io
import re
import struct
import zipfile
import zlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from defusedxml.ElementTree import ParseError, fromstring

from carbonshift.common.errors import CarbonShiftError
from carbonshift.ingest.cell import number
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.reading import Reading
from carbonshift.ingest.web import body_checked

__all__ = ["DAY_AHEAD", "REAL_TIME", "Report", "parse"]

LARGEST_MEMBER_BYTES = 32 << 20
"""A month of five-minute prices of one node is some 7 MB; the limit holds whatever the zip says of itself."""
LARGEST_ERROR_BYTES = 1 << 20
MOST_MEMBERS_LISTED = 16
LONGEST_QUOTE = 200
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-00:00", re.ASCII)
NO_DATA = frozenset({"1000", "1001"})
PASSING = frozenset({"1003", "1006", "1007", "1008", "1009", "1010", "1012", "1013", "1015"})
"""Time-outs and failures of its own, and 1015: still at work on the answer."""
REFUSALS = frozenset(
    {"1002", "1004", "1005", "1011", "1014", "1016", "1017", "1018", "1019", "1020", "INVALID_REQUEST"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A price report of OASIS: how it is asked for, and what its rows look like."""

    query_name: str
    version: int
    market_run_id: str
    price_column: str
    interval_seconds: int


REAL_TIME = Report(
    query_name="PRC_INTVL_LMP", version=3, market_run_id="RTM", price_column="VALUE", interval_seconds=300
)
DAY_AHEAD = Report(query_name="PRC_LMP", version=12, market_run_id="DAM", price_column="MW", interval_seconds=3_600)


def parse(body: bytes, report: Report, node: str) -> list[Reading]:
    """LMPs in USD/MWh, oldest first, each interval once; none where OASIS says that it has none.

    Rows come in any order, one for each component of a price; only the LMP is read. A blank price is None, and so is
    the price of an interval for which two rows disagree: nothing tells which of them holds, and a mean is neither.

    Raises: SourceUnavailableError for what is cut short or garbled and for failures that OASIS calls its own;
        SourceRefusedError for a refusal, for other columns, and for another node or interval than asked for.
    """
    name, content = _only_member(body)
    if name.lower().endswith(".xml"):
        if (error := _said(name, content)) is not None:
            raise error
        return []
    if not name.lower().endswith(".csv"):
        raise _garbled(f"the zip holds {name!r}, neither .csv nor .xml")
    prices = _prices(body_checked("OASIS", content), report, node)
    return [Reading(start, found.pop() if len(found) == 1 else None) for start, found in sorted(prices.items())]


def _only_member(body: bytes) -> tuple[str, bytes]:
    """Name and content of the one member of a zip, its checksum verified."""
    if body.count(b"PK\x01\x02") > MOST_MEMBERS_LISTED:  # before each becomes an object
        raise _garbled("the zip lists too many members")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            if len(members) != 1:
                raise _garbled(f"the zip holds {len(members)} members, expected 1")
            if members[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise _garbled("the zip is packed in another way than zips of OASIS are")
            with archive.open(members[0]) as member:
                content = member.read(LARGEST_MEMBER_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise _garbled(f"no readable zip: {error}") from error
    if len(content) > LARGEST_MEMBER_BYTES:
        raise _garbled(f"{members[0].filename!r} unpacks to more than {LARGEST_MEMBER_BYTES >> 20} MiB")
    return members[0].filename, content


def _said(name: str, content: bytes) -> CarbonShiftError | None:
    """What an error document amounts to; None = there is no data."""
    if len(content) > LARGEST_ERROR_BYTES:
        return _garbled(f"{name!r} is too long for a word about an error")
    try:
        document = fromstring(content, forbid_dtd=True)
    except (ParseError, LookupError, ValueError) as error:
        return _garbled(f"{name!r} is no readable XML: {error}")
    code, text = (_line(document.findtext(f".//{{*}}{tag}", "")) for tag in ("ERR_CODE", "ERR_DESC"))
    if code in NO_DATA:
        return None
    if code in REFUSALS or "INVALID_REQUEST" in name:
        return SourceRefusedError(
            _line(f"OASIS refuses: {code or name} {text}"), "look at caiso_node; else report this"
        )
    if code in PASSING:
        return SourceUnavailableError(_line(f"OASIS answers {code} {text}"), "it is asked again")
    return _garbled(f"{name!r} says {code or 'no error code'} {text}, which is not in its specification")


def _prices(text: str, report: Report, node: str) -> dict[datetime, set[float | None]]:
    """Every price that the rows give for an interval."""
    prices: dict[datetime, set[float | None]] = defaultdict(set)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    wanted = ("INTERVALSTARTTIME_GMT", "INTERVALENDTIME_GMT", "NODE_ID", "LMP_TYPE", report.price_column)
    try:
        header = next(rows, [])
        if any(header.count(column) != 1 for column in wanted):
            raise SourceRefusedError(_line(f"OASIS answers with columns {','.join(header)}"), "report this")
        from_at, to_at, node_at, type_at, price_at = (header.index(column) for column in wanted)
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise _garbled(f"line {rows.line_num} has {len(row)} cells, expected {len(header)}")
            if row[type_at] != "LMP":
                continue
            if row[node_at] != node:
                raise SourceRefusedError(
                    _line(f"OASIS was asked for {node}, answers for {row[node_at]}"), "report this"
                )
            start = _start(row[from_at], row[to_at], report, rows.line_num)
            prices[start].add(_price(row[price_at], rows.line_num))
    except csv.Error as error:
        raise _garbled(f"line {rows.line_num}: {error}") from error
    if not prices:
        raise _garbled("the answer has no row of an LMP")
    return prices


def _start(start: str, end: str, report: Report, line: int) -> datetime:
    if not (STAMP.fullmatch(start) and STAMP.fullmatch(end)):
        raise _garbled(f"line {line}: {start!r} and {end!r} are no UTC stamps")
    try:
        first, after = datetime.fromisoformat(start), datetime.fromisoformat(end)
    except ValueError as error:
        raise _garbled(f"line {line}: {error}") from error
    seconds = (after - first).total_seconds()
    if seconds != report.interval_seconds or first.timestamp() % report.interval_seconds:
        raise SourceRefusedError(
            f"OASIS line {line}: {seconds:.0f} s from {start}, expected steps of {report.interval_seconds} s",
            "report this",
        )
    return first


def _price(cell: str, line: int) -> float | None:
    if cell.strip().lower() in {"", "null"}:
        return None
    try:
        return number(cell)
    except ValueError as error:
        raise _garbled(f"line {line}: the price {cell!r} is no finite number") from error


def _line(text: str) -> str:
    """On one line, fit for a log."""
    return "".join(c for c in " ".join(text[: 4 * LONGEST_QUOTE].split()) if c.isprintable())[:LONGEST_QUOTE]


def _garbled(problem: str) -> SourceUnavailableError:
    return SourceUnavailableError(_line(f"OASIS: {problem}"), "it is asked again")
