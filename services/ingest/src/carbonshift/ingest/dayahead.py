"""What a day-ahead market had published at each moment of a tape. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from carbonshift.common.events import DayAheadPrices, Replay
from carbonshift.common.tape import Tape

__all__ = ["midnight", "published_days"]


def published_days(
    tape: Tape, region: str, replay: Replay | None, start: datetime | None = None, end: datetime | None = None
) -> Iterator[DayAheadPrices]:
    """The prices of each local day of the tape, in the order in which they were published.

    A day's prices become known at the sidecar's `day_ahead_published` of the day before, by the market's own clock;
    without that key there are none. Rows from `start` to `end` alone are looked at.
    """
    published = tape.sidecar.day_ahead_published
    if published is None:
        return
    zone = ZoneInfo(tape.sidecar.time_zone)
    step_seconds = tape.sidecar.price_step_seconds or tape.step_seconds
    step = timedelta(seconds=step_seconds)
    for day, rows in groupby(tape.rows(start, end), key=lambda row: row.interval_start.astimezone(zone).date()):
        price_at = {row.interval_start: row.price_usd_per_mwh for row in rows}
        first, after = next(iter(price_at)), midnight(day + timedelta(days=1), zone)
        if end is not None:
            after = min(after, end)
        yield DayAheadPrices(
            region=region,
            published_at=datetime.combine(day - timedelta(days=1), published, zone).astimezone(UTC),
            step_seconds=step_seconds,
            first_interval_start=first,
            prices_usd_per_mwh=tuple(
                price_at.get(first + step * index) for index in range(max(1, -(-(after - first) // step)))
            ),
            replay=replay,
        )


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the local `day` begins, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
