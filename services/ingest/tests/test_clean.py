"""Ticks out of series: block by block as in one piece, each revision once and in its turn."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, Issue, PriceMarket, Quality
from carbonshift.ingest.cleaning.clean import Cleaner, Patience, clean
from carbonshift.ingest.cleaning.frame import Frame
from carbonshift.ingest.cleaning.series import Series

START = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = Patience(hold_seconds=900, interpolate_seconds=3_600)
FRAME = Frame(
    region="caiso",
    interval_seconds=300,
    price_seconds=300,
    carbon_seconds=300,
    carbon_basis=CarbonBasis.MARGINAL,
    price_market=PriceMarket.REAL_TIME,
    price_source="a",
    carbon_source="b",
)


def series(values):
    array = np.array(values, dtype=float)
    return Series(array, np.zeros(array.size, dtype=bool))


def told(price, carbon, sizes, frame=FRAME):
    cleaner, at = Cleaner(frame, PATIENCE, START), 0
    for size in sizes:
        part = slice(at, at + size)
        if price[part]:
            yield from cleaner.ticks(series(price[part]), series(carbon[part]))
        at += size


cells = st.floats(-50, 500).map(lambda value: round(value, 2)) | st.just(np.nan) | st.just(0.0)


@settings(max_examples=200)
@given(
    pairs=st.lists(st.tuples(cells, cells), min_size=1, max_size=90),
    sizes=st.lists(st.integers(1, 30), min_size=90, max_size=90),
)
def test_blocks_of_any_size_tell_the_same(pairs, sizes):
    price, carbon = [p for p, _ in pairs], [abs(c) for _, c in pairs]
    in_blocks = list(told(price, carbon, sizes))
    assert in_blocks == list(told(price, carbon, [len(price)]))
    ids = [tick.id for tick in in_blocks]
    assert len(ids) == len(set(ids))
    firsts = [tick.interval_start for tick in in_blocks if not tick.revision]
    assert firsts == [START + timedelta(minutes=5) * n for n in range(len(price))]
    newest = {}
    for tick in in_blocks:
        assert tick.revision == newest.get(tick.interval_start, -1) + 1
        newest[tick.interval_start] = tick.revision


@settings(max_examples=100)
@given(
    pairs=st.lists(st.tuples(cells, cells), min_size=30, max_size=120),
    sizes=st.lists(st.integers(1, 30), min_size=120, max_size=120),
)
def test_hours_over_several_days_tell_the_same_in_blocks_of_any_size(pairs, sizes):
    """Longer than what a Cleaner remembers: what it has forgotten must not be missed."""
    hourly = replace(FRAME, interval_seconds=3_600, price_seconds=3_600, carbon_seconds=3_600)
    price, carbon = [p for p, _ in pairs], [abs(c) for _, c in pairs]
    assert list(told(price, carbon, sizes, hourly)) == list(told(price, carbon, [len(price)], hourly))


def test_a_short_first_block_judges_by_no_other_measure():
    """What is usual is known once an eighth of a day is there, and not from the two values of a first block."""
    price, carbon = [np.nan, 0.0, np.nan], [0.0, 1.0, np.nan]
    assert list(told(price, carbon, [1, 1, 1])) == list(told(price, carbon, [3]))


@settings(max_examples=200)
@given(pairs=st.lists(st.tuples(cells, cells), min_size=1, max_size=90))
def test_the_newest_revisions_are_what_one_look_at_all_of_it_says(pairs):
    price, carbon = [p for p, _ in pairs], [abs(c) for _, c in pairs]
    newest = {tick.interval_start: tick for tick in told(price, carbon, [len(price)])}
    judged = clean(FRAME, PATIENCE, START, series(price), series(carbon))
    for number, tick in enumerate(newest.values()):
        assert tick.model_copy(update={"revision": 0}) == judged.tick(number)


def test_a_gap_is_held_then_missing_then_corrected():
    nan = np.nan
    price = [40.0, 41.0, 42.0, 43.0, 44.0, 45.0, 46.0, 47.0]
    carbon = [100.0, nan, nan, nan, nan, nan, nan, 170.0]
    ticks = list(told(price, carbon, [3, 5]))
    minutes = [(t.interval_start - START) // timedelta(minutes=5) for t in ticks]
    assert minutes == [0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 7]
    assert [t.carbon_quality.value for t in ticks[:7]] == ["observed", *["held"] * 3, *["missing"] * 3]
    assert [t.issues for t in ticks[3:7]] == [(), *[(Issue.CARBON_STALE,)] * 3]
    corrected = ticks[7:13]
    assert [t.carbon_g_per_kwh for t in corrected] == [110.0, 120.0, 130.0, 140.0, 150.0, 160.0]
    assert {(t.revision, t.carbon_quality, t.issues) for t in corrected} == {(1, Quality.INTERPOLATED, ())}


def test_gaps_of_both_signals_that_close_apart_are_two_revisions():
    nan = np.nan
    ticks = list(told([1.0, nan, 3.0, 4.0], [100.0, nan, nan, 130.0], [4]))
    assert [(t.interval_start.minute, t.revision) for t in ticks] == [
        (0, 0), (5, 0), (5, 1), (10, 0), (5, 2), (10, 1), (15, 0)
    ]  # fmt: skip
    assert ticks[2].price_quality is Quality.INTERPOLATED
    assert ticks[2].carbon_quality is Quality.HELD
    assert ticks[4].carbon_g_per_kwh == 110.0


def test_an_impossible_value_is_missing_and_says_why():
    (tick,) = told([40.0], [-3.0], [1])
    assert (tick.carbon_g_per_kwh, tick.carbon_quality) == (None, Quality.MISSING)
    assert tick.issues == (Issue.CARBON_OUT_OF_RANGE,)


def test_a_line_is_not_drawn_to_a_value_in_another_unit():
    price = [40.0 + 0.01 * n for n in range(60)]
    price[50], price[51:] = np.nan, [value * 1_000 for value in price[51:]]
    carbon = [300.0 + n for n in range(60)]
    ticks = list(told(price, carbon, [60]))
    assert len(ticks) == 60  # no revision
    assert ticks[50].price_quality is Quality.HELD
    assert all(Issue.PRICE_UNIT_JUMP in t.issues or Issue.PRICE_OUT_OF_RANGE in t.issues for t in ticks[51:])
