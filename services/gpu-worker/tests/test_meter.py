from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.gpu_worker.meter import Load, Meter, modelled_draw_w, modelled_speed

NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)
spans = st.lists(st.tuples(st.sampled_from(Load), st.floats(100, 250), st.integers(0, 86_400)), max_size=8)


def metered(meter: Meter, load: Load, limit_w: float, seconds: float) -> Meter:
    return meter.advance(
        meter.at + timedelta(seconds=seconds),
        energy_j=modelled_draw_w(RESNET18_V100, load, limit_w) * seconds,
        speed=modelled_speed(RESNET18_V100, load, limit_w),
    )


@given(spans=spans)
def test_it_is_the_sum_over_the_spans_and_each_may_be_cut_anywhere(spans):
    whole = halves = Meter(at=NOON)
    for load, limit_w, seconds in spans:
        whole = metered(whole, load, limit_w, seconds)
        halves = metered(metered(halves, load, limit_w, seconds / 2), load, limit_w, seconds / 2)
    assert halves.energy_j == pytest.approx(whole.energy_j)
    assert halves.work_seconds == pytest.approx(whole.work_seconds)
    running = sum(seconds for load, _, seconds in spans if load is Load.RUNNING)
    assert 0 <= whole.work_seconds <= running + 1e-6


def test_waiting_is_not_free_and_a_limit_is_not_a_draw():
    waited = metered(Meter(at=NOON), Load.PARKED, 250.0, 100)
    assert (waited.energy_j, waited.work_seconds) == (4_300.0, 0.0)
    ran = metered(waited, Load.RUNNING, 250.0, 100)
    assert (ran.energy_j, ran.work_seconds) == (pytest.approx(4_300.0 + 19_020.0), 100.0)
    assert metered(ran, Load.IDLE, 250.0, 100).energy_j == pytest.approx(ran.energy_j + 2_500.0)


def test_the_past_changes_nothing_and_another_recordings_time_costs_nothing():
    meter = metered(Meter(at=NOON), Load.RUNNING, 150.0, 60)
    assert meter.advance(NOON, energy_j=100.0, speed=1.0) == meter
    jumped = meter.jump(NOON - timedelta(days=365))
    assert (jumped.energy_j, jumped.work_seconds) == (meter.energy_j, meter.work_seconds)
