"""What a poll publishes: the new, corrections as a next revision, and no empty interval that may only be late."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.ingest.assemble import Frame, assemble
from carbonshift.ingest.poll import changed
from carbonshift.ingest.reading import Reading

START = datetime(2026, 1, 1, tzinfo=UTC)
FRAME = Frame(
    region="caiso",
    interval_seconds=300,
    carbon_basis=CarbonBasis.MARGINAL,
    price_market=PriceMarket.REAL_TIME,
    price_source="a",
    carbon_source="b",
)


def ticks(prices):
    readings = [Reading(START + timedelta(seconds=300 * n), price) for n, price in enumerate(prices)]
    return assemble(FRAME, readings, (), START, START + timedelta(seconds=300 * len(prices)))


@given(polls=st.lists(st.lists(st.none() | st.floats(0, 10), min_size=8, max_size=8), max_size=8))
def test_revisions_count_up_and_nothing_is_said_twice(polls):
    published, ids = {}, []
    for prices in polls:
        news = changed(ticks(prices), published)
        ids += [tick.id for tick in news]
        published |= {tick.interval_start: tick for tick in news}
        assert changed(ticks(prices), published) == []
    assert len(ids) == len(set(ids))


def test_the_newest_interval_without_a_value_waits():
    assert [t.price_usd_per_mwh for t in changed(ticks([1.0, None, 2.0, None]), {})] == [1.0, None, 2.0]
