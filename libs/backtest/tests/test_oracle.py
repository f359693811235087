"""The oracle: never worse than any run we know of, never below its certificate, settled by the one accounting."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from carbonshift.backtest.baselines import best_static_cap, run_at_limit
from carbonshift.backtest.oracle import Grid, oracle
from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Quality
from carbonshift.common.power_curve import RESNET18_V100 as CURVE
from carbonshift.decide.planning.errors import UnplannableError
from carbonshift.decide.planning.job import FREE_SWITCHES, Job

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3_600.0
DAY_JOB = Job(work_seconds=24 * HOUR, deadline_seconds=48 * HOUR)


def grid_of_days(days, seed=0, lowest=None):
    """Prices and carbon with a day's rhythm and noise; the price of the first hour as asked."""
    random, hours = np.random.default_rng(seed), np.arange(24 * days)
    prices = 50 + 30 * np.sin(2 * np.pi * hours / 24) + random.normal(0, 20, hours.size)
    carbon = 350 + 120 * np.sin(2 * np.pi * (hours - 5) / 24) + random.normal(0, 30, hours.size)
    if lowest is not None:
        prices[0] = lowest
    return Grid(step_seconds=HOUR, prices_usd_per_mwh=prices, carbon_g_per_kwh=carbon)


def ticks(grid, first):
    return [
        GridTick(
            region="caiso",
            interval_start=START + timedelta(hours=n),
            interval_seconds=3_600,
            price_usd_per_mwh=float(price),
            carbon_g_per_kwh=float(carbon),
            carbon_basis=CarbonBasis.AVERAGE,
            price_quality=Quality.OBSERVED,
            carbon_quality=Quality.OBSERVED,
            price_market=PriceMarket.REAL_TIME,
            price_source="test",
            carbon_source="test",
            observed_at=START,
        )
        for n, (price, carbon) in enumerate(
            zip(grid.prices_usd_per_mwh[first:], grid.carbon_g_per_kwh[first:], strict=True)
        )
    ]


def usd(usage, usd_per_tonne=100.0):
    return usage.cost_usd + usage.carbon_g / 1e6 * usd_per_tonne


def test_no_baseline_is_cheaper_and_no_run_is_below_its_bound():
    grid, starts = grid_of_days(14), range(0, 12 * 24, 7)
    for run in oracle(grid, starts, DAY_JOB, CURVE):
        tape = ticks(grid, run.start)[:48]
        (cap,) = best_static_cap(CURVE, [DAY_JOB.work_seconds], START, tape)
        full = run_at_limit(CURVE, 250.0, DAY_JOB.work_seconds, START, tape)
        assert run.lower_bound_usd <= run.total_usd
        assert run.total_usd <= usd(full.usage) * (1 + 1e-4)
        if cap.finish <= START + timedelta(hours=48):
            assert run.total_usd <= usd(cap.usage) + 5e-3 * abs(usd(cap.usage))  # a cap between two measured ones


def test_the_account_of_a_run_is_that_of_its_schedule():
    (run,) = oracle(grid_of_days(3), [5], DAY_JOB, CURVE)
    assert run.total_usd == pytest.approx(run.schedule.total_usd, rel=1e-12)
    assert run.usage.work_seconds == pytest.approx(DAY_JOB.work_seconds, rel=1e-9)
    assert run.usage.seconds == pytest.approx(run.schedule.finish_seconds)
    assert run.usage.parked_energy_j == pytest.approx(43.0 * run.schedule.seconds[:, 0].sum())
    assert run.schedule.finish_seconds <= DAY_JOB.deadline_seconds


def test_free_switches_leave_no_gap_and_cost_no_more():
    grid, starts = grid_of_days(10, seed=3), range(0, 8 * 24, 11)
    paid, free = (oracle(grid, starts, DAY_JOB, CURVE, **kwargs) for kwargs in ({}, {"switches": FREE_SWITCHES}))
    for one, other in zip(paid, free, strict=True):
        assert other.schedule.gap_usd <= 1e-9 * other.total_usd
        assert other.total_usd <= one.total_usd
    gaps = [run.schedule.gap_usd / run.total_usd for run in paid]
    assert np.mean(gaps) <= 1e-3


def test_a_start_paid_to_burn_is_at_full_power():
    (run,) = oracle(grid_of_days(3, lowest=-500.0), [0], DAY_JOB, CURVE)
    assert run.schedule.seconds[0] == pytest.approx([0, 0, 0, 0, HOUR])


def test_a_job_late_in_any_case_runs_at_full_power():
    late = Job(work_seconds=10 * HOUR, deadline_seconds=5 * HOUR)
    (run,) = oracle(grid_of_days(1), [0], late, CURVE)
    assert run.schedule.at_risk
    assert run.schedule.finish_seconds == pytest.approx(10 * HOUR)


def test_no_work_costs_nothing():
    (run,) = oracle(grid_of_days(1), [3], Job(work_seconds=0.0, deadline_seconds=0.0), CURVE)
    assert (run.total_usd, run.lower_bound_usd, run.usage.energy_j) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("start", [-1, 25])
def test_a_tape_that_ends_before_the_deadline_is_refused(start):
    with pytest.raises(InputError, match="a start needs 48 intervals of a tape of 72"):
        oracle(grid_of_days(3), [0, start], DAY_JOB, CURVE)


def test_gaps_are_refused():
    grid = grid_of_days(3)
    grid.carbon_g_per_kwh[7] = np.nan
    with pytest.raises(UnplannableError, match="interval 7; fill the gaps"):
        oracle(grid, [0], DAY_JOB, CURVE)


def test_no_starts_give_no_runs():
    assert oracle(grid_of_days(1), [], DAY_JOB, CURVE) == []
