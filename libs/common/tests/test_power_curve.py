"""Draw and speed: through the measured points, never outside them, more power never slower."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.accounting import Usage
from carbonshift.common.power_curve import RESNET18_V100 as CURVE


def test_the_measured_points_are_kept():
    for limit_w, draw_w, speed in zip(CURVE.limits_w, CURVE.draws_w, CURVE.speeds, strict=True):
        assert (CURVE.draw_w(limit_w), CURVE.speed(limit_w)) == (draw_w, speed)


@given(limits_w=st.tuples(st.floats(0, 400), st.floats(0, 400)))
def test_more_power_is_never_slower(limits_w):
    low, high = sorted(limits_w)
    assert CURVE.speed(low) <= CURVE.speed(high)
    assert CURVE.draws_w[0] <= CURVE.draw_w(low) <= CURVE.draw_w(high) <= CURVE.draws_w[-1]


@given(parts=st.lists(st.floats(0.1, 10), min_size=1, max_size=20))
def test_a_sum_of_spans_is_the_span(parts):
    def usage(seconds):
        return Usage.of(
            seconds=seconds,
            energy_j=100 * seconds,
            work_seconds=seconds,
            parked=True,
            price_usd_per_mwh=50.0,
            carbon_g_per_kwh=300.0,
        )

    total, whole = sum(map(usage, parts), start=Usage()), usage(sum(parts))
    for name in Usage.__dataclass_fields__:
        assert getattr(total, name) == pytest.approx(getattr(whole, name))
