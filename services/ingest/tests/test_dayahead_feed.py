"""Day-ahead prices of a live market: a local day once it is known, whole, and once."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.client import bare_client
from carbonshift.common.errors import InputError
from carbonshift.common.events import DayAheadPrices
from carbonshift.ingest.dayahead import midnight
from carbonshift.ingest.dayahead_feed import DayAheadFeed, check_market, day_prices
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.published import published as published_events
from carbonshift.ingest.reading import Reading
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.caiso_dam import CaisoDayAhead
from carbonshift.ingest.sources.caiso_rtm import CaisoRealTime
from carbonshift.ingest.web import WebPool

PACIFIC = ZoneInfo("America/Los_Angeles")


def readings(day, without=()):
    start = midnight(day, PACIFIC)
    return [Reading(start + timedelta(hours=n), float(n)) for n in range(-3, 30) if n not in without]


@given(day=st.dates(date(2026, 1, 1), date(2027, 12, 31)))
def test_a_day_is_as_long_as_its_clock_makes_it(day):
    before = midnight(day, PACIFIC) - timedelta(hours=8)
    prices = day_prices("caiso", day, PACIFIC, 3_600, readings(day), before)
    hours = {(3, 8): 23, (11, 1): 25} if day.year == 2026 else {(3, 14): 23, (11, 7): 25}
    assert prices.prices_usd_per_mwh == tuple(map(float, range(hours.get((day.month, day.day), 24))))
    assert prices.first_interval_start == midnight(day, PACIFIC)


def test_a_day_that_is_not_whole_waits_until_it_begins():
    day = date(2026, 6, 10)
    start = midnight(day, PACIFIC)
    told = readings(day, without={5})
    assert day_prices("caiso", day, PACIFIC, 3_600, told, start - timedelta(seconds=1)) is None
    assert day_prices("caiso", day, PACIFIC, 3_600, told, start).prices_usd_per_mwh[5] is None
    assert day_prices("caiso", day, PACIFIC, 3_600, [], start) is None


async def test_tomorrow_comes_with_its_publication_and_once_through_a_restart(bus, grid, monkeypatch):
    for name, value in grid.settings().items():
        monkeypatch.setenv(name, value)
    settings = IngestSettings(nats_url=bus.url)
    now = datetime(2026, 6, 10, 12, 50, tzinfo=PACIFIC).astimezone(UTC)
    published = []
    async with WebPool(5.0) as web, bare_client(settings) as client:
        jetstream = client.jetstream()
        for minutes in (0, 5, 15, 20, 60):
            grid.now = now + timedelta(minutes=minutes)
            days = await published_events(jetstream, settings, DayAheadPrices, datetime(2020, 1, 1, tzinfo=UTC))
            known = {day.first_interval_start for day in days}
            source, publisher = CaisoDayAhead(settings, web), Publisher(jetstream, settings)
            feed = DayAheadFeed(settings, source, publisher, lambda: grid.now, known)
            published.append([day.first_interval_start.date().day for day in await feed.poll()])
            assert await feed.poll() == []
    assert published == [[10], [], [11], [], []]
    days = await bus.collect(DayAheadPrices, when=lambda found: len(found) == 2)
    for day in days:
        hours = range(len(day.prices_usd_per_mwh))
        truth = [grid.truth.day_ahead_usd_per_mwh(day.first_interval_start + timedelta(hours=n)) for n in hours]
        assert list(day.prices_usd_per_mwh) == pytest.approx(truth)


def test_a_source_of_real_time_prices_is_refused():
    with pytest.raises(InputError, match="caiso-rtm tells no day-ahead prices"):
        check_market(CaisoRealTime(IngestSettings(), WebPool(1.0)))
