"""Asks CAISO OASIS for the prices of any span of time, in as many questions as it takes."""

from datetime import UTC, datetime, timedelta
from functools import partial

from carbonshift.ingest.oasis import Report, parse
from carbonshift.ingest.reading import Reading
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import Web, WebPool

__all__ = ["ask", "oasis", "query", "spans"]

LONGEST_SPAN = timedelta(days=30)
"""OASIS gives 31 days at most (error 1004). A day less: as clocks change, 31 days of UTC may be more of local time."""
MINUTE = timedelta(minutes=1)


def oasis(web: WebPool, settings: IngestSettings, source: str) -> Web:
    """OASIS as `source` asks it, at the pace that all its reports share. Raises: InputError for no URL."""
    remedy = "look at caiso_url and caiso_node"
    return web.at(source, settings.caiso_url, remedy, settings.caiso_seconds_between_requests)


def spans(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """From `start` to `end` in whole minutes of UTC without gap or overlap, none longer than LONGEST_SPAN. Pure."""
    since = start.astimezone(UTC).replace(second=0, microsecond=0)
    after = (end.astimezone(UTC) + MINUTE - timedelta.resolution).replace(second=0, microsecond=0)
    found: list[tuple[datetime, datetime]] = []
    while since < after:
        until = min(since + LONGEST_SPAN, after)
        found.append((since, until))
        since = until
    return found


def query(report: Report, node: str, since: datetime, until: datetime) -> dict[str, str]:
    """The parameters of one question. Pure."""
    stamp = "%Y%m%dT%H:%M-0000"
    return {
        "resultformat": "6",  # CSV
        "queryname": report.query_name,
        "version": str(report.version),
        "market_run_id": report.market_run_id,
        "node": node,
        "startdatetime": since.strftime(stamp),
        "enddatetime": until.strftime(stamp),
    }


async def ask(web: Web, report: Report, node: str, start: datetime, end: datetime) -> list[Reading]:
    """Readings in USD/MWh with start <= interval_start < end, oldest first, each interval once."""
    found: list[Reading] = []
    for since, until in spans(start, end):
        readings = await web.ask(
            "SingleZip", partial(parse, report=report, node=node), params=query(report, node, since, until)
        )
        found += [r for r in readings if max(since, start) <= r.interval_start < min(until, end)]
    return found
