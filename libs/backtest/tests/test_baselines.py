"""Baselines: the work is completed, summed by the one accounting, and the best cap is the best."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.backtest.baselines import best_static_cap, run_at_limit
from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Quality
from carbonshift.common.power_curve import RESNET18_V100 as CURVE

START = datetime(2026, 1, 1, tzinfo=UTC)
values = st.floats(-100, 3_000)


def ticks(pairs):
    return [
        GridTick(
            region="caiso",
            interval_start=START + timedelta(hours=n),
            interval_seconds=3_600,
            price_usd_per_mwh=price,
            carbon_g_per_kwh=carbon,
            carbon_basis=CarbonBasis.AVERAGE,
            price_quality=Quality.OBSERVED,
            carbon_quality=Quality.OBSERVED,
            price_market=PriceMarket.REAL_TIME,
            price_source="test",
            carbon_source="test",
            observed_at=START,
        )
        for n, (price, carbon) in enumerate(pairs)
    ]


def test_two_hours_at_full_power_by_hand():
    run = run_at_limit(CURVE, 250.0, 7_200, START, ticks([(100.0, 500.0), (50.0, 200.0), (1.0, 1.0)]))
    assert run.finish == START + timedelta(hours=2)
    assert run.usage.energy_j == pytest.approx(2 * 190.2 * 3_600)
    assert run.usage.cost_usd == pytest.approx(190.2e-6 * (100 + 50))
    assert run.usage.carbon_g == pytest.approx(0.1902 * (500 + 200))


@given(
    limit_w=st.floats(100, 250),
    work_seconds=st.floats(1, 36_000),
    pairs=st.lists(st.tuples(values, st.floats(0, 900)), min_size=16, max_size=16),
)
def test_the_work_is_done_and_nothing_counts_after_it(limit_w, work_seconds, pairs):
    run = run_at_limit(CURVE, limit_w, work_seconds, START, ticks(pairs))
    assert run.usage.work_seconds == pytest.approx(work_seconds)
    assert run.usage.seconds == pytest.approx(work_seconds / CURVE.speed(limit_w))
    assert run.usage.energy_j == pytest.approx(run.usage.seconds * CURVE.draw_w(limit_w))
    assert (run.finish - START).total_seconds() == pytest.approx(run.usage.seconds, abs=1e-3)


@given(pairs=st.lists(st.tuples(values, st.floats(0, 900)), min_size=16, max_size=16), limit_w=st.integers(100, 250))
def test_no_whole_watt_beats_the_best_cap(pairs, limit_w):
    grid = ticks(pairs)

    def usd(run):
        return run.usage.cost_usd + run.usage.carbon_g / 1e4

    works = (9_000, 18_000)
    best = best_static_cap(CURVE, works, START, grid)
    assert len({run.limit_w for run in best}) == 1
    assert (
        sum(map(usd, best)) <= sum(usd(run_at_limit(CURVE, float(limit_w), work, START, grid)) for work in works) + 1e-9
    )


def test_at_negative_prices_full_power_beats_a_cap():
    (run,) = best_static_cap(CURVE, [3_600], START, ticks([(-500.0, 0.0)] * 3))
    assert run.limit_w == 250.0


def test_a_tape_too_short_for_the_work_is_refused():
    with pytest.raises(InputError, match="the tape ends 3600 s before the work does"):
        run_at_limit(CURVE, 250.0, 7_200, START, ticks([(1.0, 1.0)]))


def test_energy_without_a_price_is_not_free():
    grid = ticks([(None, 1.0), (1.0, 1.0)])
    run = run_at_limit(CURVE, 250.0, 7_200, START, grid)
    assert run.usage.unpriced_j == pytest.approx(190.2 * 3_600)
