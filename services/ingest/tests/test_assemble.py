"""Ticks: one for each interval, and no value without its flag."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, PriceMarket, Quality
from carbonshift.ingest.assemble import Frame, assemble
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
values = st.dictionaries(st.integers(0, 20), st.none() | st.floats(0, 1_000), max_size=20)


@given(prices=values, carbon=values, count=st.integers(1, 20), seed=st.randoms())
def test_every_interval_has_a_tick_and_every_gap_its_flag(prices, carbon, count, seed):
    def readings(by_number):
        shuffled = [Reading(START + timedelta(seconds=300 * n), value) for n, value in by_number.items()]
        seed.shuffle(shuffled)
        return shuffled

    ticks = assemble(FRAME, readings(prices), readings(carbon), START, START + timedelta(seconds=300 * count))
    assert [t.interval_start for t in ticks] == [START + timedelta(seconds=300 * n) for n in range(count)]
    for number, tick in enumerate(ticks):
        assert tick.price_usd_per_mwh == prices.get(number)
        assert tick.carbon_g_per_kwh == carbon.get(number)
        assert (tick.price_quality is Quality.MISSING) == (tick.price_usd_per_mwh is None)
        assert (tick.carbon_quality is Quality.MISSING) == (tick.carbon_g_per_kwh is None)
