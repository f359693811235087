"""Envelopes: no mix of modes in a second is cheaper, at any sign of the unit cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.planning.job import Device
from carbonshift.decide.planning.segments import OFF, PARKED, Hulls, closing_edges, hulls_of, unit_costs_usd_per_j

V100 = Device.of(RESNET18_V100)
modes = st.lists(st.tuples(st.integers(50, 400), st.sampled_from([0.2, 0.5, 0.5001, 0.8, 1.0])), min_size=1, max_size=5)
devices = modes.map(
    lambda some: Device(
        limits_w=tuple(float(draw) for draw, _ in some),
        draws_w=tuple(float(draw) for draw, _ in some),
        speeds=tuple(speed for _, speed in some),
        parked_w=43.0,
    )
)


def cheapest_second(rates, speeds, speed):
    """The least cost of a second that does `speed` of work, by a linear program over the shares of the ways."""
    answer = linprog(rates, A_eq=[speeds, np.ones(len(speeds))], b_eq=[speed, 1.0], method="highs")
    return answer.fun if answer.success else None


def along(speeds, rates, speed):
    return float(np.interp(speed, speeds, rates))


@given(device=devices, unit_cost=st.sampled_from([-2.0, 1.0, 3.0]), parked=st.booleans(), share=st.floats(0, 1))
def test_no_mix_is_cheaper_than_the_envelope(device, unit_cost, parked, share):
    edges = hulls_of(device).edges
    row = int(Hulls.row(with_parked=np.array(parked), unit_costs=np.array(unit_cost)))
    speeds, draws = edges.speeds[row], edges.rates[row]
    speed = speeds[0] + share * (speeds[-1] - speeds[0])
    ways = ([0.0] if parked else []) + list(device.speeds)
    watts = ([device.parked_w] if parked else []) + list(device.draws_w)
    least = cheapest_second(unit_cost * np.array(watts), ways, speed)
    if least is not None:
        assert along(speeds, unit_cost * draws, speed) == pytest.approx(least, abs=1e-5)
    assert (np.diff(unit_cost * edges.slopes[row][edges.widths[row] > 0]) >= -1e-9).all()
    assert (edges.widths >= 0).all()


@given(
    device=devices,
    unit_cost=st.sampled_from([-2.0, 0.0, 1.0]),
    waiting=st.sampled_from([0.0, 30.0, 500.0]),
    parked=st.booleans(),
    share=st.floats(0, 1),
)
def test_after_completion_a_second_is_free(device, unit_cost, waiting, parked, share):
    edges = closing_edges(device, np.array([unit_cost]), np.array([waiting]), np.array([parked]))
    ways = [0.0, *([0.0] if parked else []), *device.speeds]
    rates = [0.0, *([unit_cost * device.parked_w + waiting] if parked else [])]
    rates += [unit_cost * draw + waiting for draw in device.draws_w]
    speed = share * max(device.speeds)
    least = cheapest_second(rates, ways, speed)
    if least is not None:
        assert along(edges.speeds[0], edges.rates[0], speed) == pytest.approx(least, abs=1e-5)
    assert edges.ways[0, 0] == (PARKED if parked and rates[1] < 0 else OFF)


def test_the_reference_board_by_hand():
    edges = hulls_of(V100).edges
    lower = int(Hulls.row(with_parked=np.array(True), unit_costs=np.array(1.0)))
    upper = int(Hulls.row(with_parked=np.array(True), unit_costs=np.array(-1.0)))
    assert edges.ways[lower].tolist() == [0, 1, 2, 3, 4]
    assert edges.slopes[lower] == pytest.approx([55.4 / 0.641, 24.8 / 0.208, 19.2 / 0.132, 47.8 / 0.019])
    assert edges.ways[upper].tolist() == [0, 4, 4, 4, 4]
    assert edges.slopes[upper][0] == pytest.approx(147.2)


def test_a_joule_costs_its_price_and_its_carbon():
    costs = unit_costs_usd_per_j(np.array([36.0, np.nan]), np.array([500.0, 1.0]), 100.0)
    assert costs[0] * 3.6e9 == pytest.approx(36.0 + 50.0)
    assert np.isnan(costs[1])
