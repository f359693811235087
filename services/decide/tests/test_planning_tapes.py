"""How near the certificate is, and how long many jobs take: on a made year, and on recorded tapes if at hand."""

from pathlib import Path

import numpy as np
import pytest

from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.common.tape import open_tape
from carbonshift.decide.planning.job import Device, Job
from carbonshift.decide.planning.schedule import plan_many
from carbonshift.decide.planning.segments import unit_costs_usd_per_j

V100 = Device.of(RESNET18_V100)
DAY = 86_400.0
RECORDINGS = Path(__file__).parents[4] / "shared" / "recordings"
TAPES = sorted(RECORDINGS.glob("*.csv.gz"))


def made_year(step, seed=0):
    """Unit costs with rhythms of day, week and year, weather that lasts for days, spikes and negative noons."""
    random, count = np.random.default_rng(seed), int(365 * DAY / step)
    days = np.arange(count) * step / DAY
    weather = np.convolve(random.normal(0, 1, count + 400), np.ones(400) / 20, "valid")[:count] * 12
    prices = 45 + 20 * np.sin(2 * np.pi * days) + 8 * np.sin(2 * np.pi * days / 7) + weather
    prices += random.normal(0, 6, count) + np.where(random.random(count) < 0.002, 400.0, 0.0)
    carbon = 350 + 100 * np.sin(2 * np.pi * (days - 0.2)) + random.normal(0, 20, count)
    return unit_costs_usd_per_j(prices, carbon, 100.0)


def recorded(path):
    tape = open_tape(path)
    rows = list(tape.rows())
    series = []
    for values in ([row.price_usd_per_mwh for row in rows], [row.carbon_g_per_kwh for row in rows]):
        array = np.array([np.nan if value is None else value for value in values])
        known = np.flatnonzero(np.isfinite(array))
        series.append(np.interp(np.arange(array.size), known, array[known]))
    return unit_costs_usd_per_j(*series, 100.0), float(tape.step_seconds)


def gaps_of(unit_costs, step, slack, starts):
    """Of a day's job from evenly spread starts: gap over cost, each; all in time and complete."""
    deadline = DAY * (1 + slack)
    intervals = int(deadline / step)
    first = np.linspace(0, unit_costs.size - intervals, starts).astype(int)
    job = Job(work_seconds=DAY, deadline_seconds=deadline)
    schedules = plan_many(unit_costs[first[:, None] + np.arange(intervals)], step, [job] * starts, V100)
    for schedule in schedules:
        assert schedule.finish_seconds <= deadline * (1 + 1e-9)
        assert schedule.work_seconds.sum() == pytest.approx(DAY, rel=1e-9)
    return np.array([schedule.gap_usd / abs(schedule.total_usd) for schedule in schedules])


@pytest.mark.parametrize("slack", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("step", [300.0, 3_600.0])
def test_the_gap_on_a_made_year_is_a_tenth_of_a_thousandth(step, slack):
    gaps = gaps_of(made_year(step), step, slack, starts=100)
    assert (gaps >= 0).all()
    assert gaps.mean() <= 1e-4
    assert gaps.max() <= 5e-3


@pytest.mark.skipif(not TAPES, reason="no recorded tapes beside this repository")
@pytest.mark.parametrize("path", TAPES, ids=lambda path: path.name.split(".")[0])
def test_the_gap_on_recorded_tapes_is_a_tenth_of_a_thousandth(path):
    unit_costs, step = recorded(path)
    for slack in (0.5, 1.0, 2.0):
        gaps = gaps_of(unit_costs, step, slack, starts=50)
        assert (gaps >= 0).all()
        assert gaps.mean() <= 1e-4
        assert gaps.max() <= 5e-3
