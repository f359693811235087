"""The cost to go: what brute force finds, and nothing that more work or more time could contradict."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.planning.job import Device
from carbonshift.decide.planning.lookahead import PARTS, lookahead_of

HOUR = 3_600.0
DEVICE = Device.of(RESNET18_V100)
LOOKAHEAD = lookahead_of(DEVICE, HOUR)
costs_of = st.lists(st.floats(1e-9, 3e-7), min_size=1, max_size=6)


def table(costs, usd_per_second=0.0, parts=PARTS * 6):
    """Of one job with one node a stage."""
    return LOOKAHEAD.table(np.array(costs)[None, :, None], np.array([usd_per_second]), parts * LOOKAHEAD.part_seconds)


def second_usd(cost, speed):
    """The cheapest second with this mean speed, by all pairs of ways to spend it; paid for, the thirstiest."""
    ways = [(0.0, DEVICE.parked_w), *zip(DEVICE.speeds, DEVICE.draws_w, strict=True)]
    watts = [
        low_w + (speed - low) / (high - low) * (high_w - low_w)
        for (low, low_w), (high, high_w) in itertools.product(ways, ways)
        if low <= speed <= high and low < high
    ]
    return min(cost * watt for watt in watts)


def by_force(costs, parts):
    """The least over all ways to share out the parts and to complete at full effort in the last of them."""
    part = LOOKAHEAD.part_seconds
    best = np.inf
    for shares in itertools.product(range(PARTS + 1), repeat=len(costs)):
        if sum(shares) != parts:
            continue
        last = max((n for n, share in enumerate(shares) if share), default=-1)
        usd = sum(HOUR * second_usd(costs[n], shares[n] * part / HOUR) for n in range(last))
        if parts:
            work = shares[last] * part
            usd += min(
                work / speed * draw * costs[last]
                for speed, draw in zip(DEVICE.speeds, DEVICE.draws_w, strict=True)
                if work / speed <= HOUR * (1 + 1e-9)
            )
        best = min(best, usd)
    return best


signed = st.floats(1e-9, 3e-7) | st.floats(-3e-7, -1e-9)


@given(costs=st.lists(signed, min_size=1, max_size=3), share=st.floats(0, 1))
def test_it_is_what_brute_force_finds(costs, share):
    parts = int(share * PARTS * len(costs))
    found = table(costs).at(np.array([parts * LOOKAHEAD.part_seconds]))[0]
    assert found == pytest.approx(by_force(costs, parts), rel=1e-9, abs=1e-15)


@given(costs=costs_of, usd_per_second=st.floats(0, 1e-4))
def test_more_work_never_costs_less(costs, usd_per_second):
    assert (np.diff(table(costs, usd_per_second).usd[:, 0]) >= -1e-12).all()


@given(costs=costs_of, more=st.floats(1e-9, 3e-7), usd_per_second=st.floats(0, 1e-4))
def test_more_time_never_costs_more(costs, more, usd_per_second):
    short, long = table(costs, usd_per_second).usd[:, 0], table([*costs, more], usd_per_second).usd[:, 0]
    within = np.arange(short.size) <= PARTS * len(costs)
    assert (long <= short * (1 + 1e-9) + 1e-15)[within].all()


def test_no_work_costs_nothing():
    assert table([1e-8, 2e-8], 1.0).at(np.zeros(1))[0] == 0.0


def test_where_drawing_is_paid_for_it_draws_all_it_can():
    """Within its last stage that is full power, and the highest mean draw of each second before it."""
    work = LOOKAHEAD.part_seconds * PARTS
    assert table([-1e-8]).at(np.array([work]))[0] == pytest.approx(-1e-8 * work * max(DEVICE.draws_w))
    parked_a_while = HOUR * second_usd(-1e-7, work / 2 / HOUR) + work / 2 * max(DEVICE.draws_w) * -1e-7
    assert table([-1e-7, -1e-7]).at(np.array([work]))[0] <= parked_a_while * (1 - 1e-9)


@given(costs=costs_of, work_hours=st.floats(0.01, 5))
def test_it_never_costs_less_than_the_work_in_the_cheapest_hour(costs, work_hours):
    least_j = min(draw / speed for draw, speed in zip(DEVICE.draws_w, DEVICE.speeds, strict=True))
    found = table(costs).at(np.array([work_hours * HOUR]))[0]
    assert found >= min(costs) * least_j * work_hours * HOUR * (1 - 1e-9)


@settings(max_examples=25)
@given(costs=costs_of, factor=st.sampled_from([0.01, 7.0, 1e3]))
def test_another_currency_changes_the_cost_by_its_rate(costs, factor):
    other = table([cost * factor for cost in costs])
    assert other.usd == pytest.approx(table(costs).usd * factor, rel=1e-9)


@given(costs=costs_of, usd_per_second=st.floats(1e-9, 1e-4), work_share=st.floats(0.05, 1))
def test_what_waiting_costs_is_paid_for_at_least_the_seconds_of_the_work(costs, usd_per_second, work_share):
    work = np.array([work_share * PARTS * len(costs) * LOOKAHEAD.part_seconds])
    free, paid = table(costs).at(work)[0], table(costs, usd_per_second).at(work)[0]
    assert paid >= free + usd_per_second * work[0] * (1 - 1e-9) / max(DEVICE.speeds)
    assert paid <= free + usd_per_second * HOUR * len(costs) * (1 + 1e-9)


@given(middle=st.lists(st.floats(1e-8, 3e-7), min_size=1, max_size=5), spread=st.floats(0, 0.9), share=st.floats(0, 1))
def test_knowing_the_hour_as_it_comes_is_never_worth_less_than_knowing_its_mean(middle, spread, share):
    nodes = np.array(middle)[None, :, None] * np.array([1 - spread, 1.0, 1 + spread])
    work = np.array([share * PARTS * len(middle) * LOOKAHEAD.part_seconds])
    found = LOOKAHEAD.table(nodes, np.zeros(1), PARTS * 6 * LOOKAHEAD.part_seconds).at(work)[0]
    assert found <= table(middle).at(work)[0] * (1 + 1e-9) + 1e-15


def test_what_cannot_be_done_in_time_is_dearer_than_anything_that_can():
    costs = [1e-8, 3e-7]
    room = LOOKAHEAD.part_seconds * PARTS * 2
    within, beyond = table(costs).at(np.array([room]))[0], table(costs).at(np.array([room + 60.0]))[0]
    assert beyond > within + 10 * 3e-7 * 60.0 * max(DEVICE.draws_w)


def test_a_price_that_may_be_two_is_worth_more_than_their_mean():
    """Whoever can wait for the node that came true takes the cheap one."""
    work = np.array([LOOKAHEAD.part_seconds * PARTS])
    nodes = np.array([[[1e-9, 9.9e-8]] * 4])
    either = LOOKAHEAD.table(nodes, np.zeros(1), float(work[0])).at(work)[0]
    assert either < table([5e-8] * 4).at(work)[0]


def test_jobs_of_one_table_do_not_touch_one_another():
    costs = np.array([[1e-8, 5e-8, 2e-8], [9e-8, 1e-8, 4e-8]])
    both = LOOKAHEAD.table(costs[:, :, None], np.array([0.0, 1e-5]), 9_000.0)
    for job, usd_per_second in enumerate((0.0, 1e-5)):
        alone = LOOKAHEAD.table(costs[job : job + 1, :, None], np.array([usd_per_second]), 9_000.0)
        assert both.usd[:, job].tolist() == alone.usd[: both.usd.shape[0], 0].tolist()


def test_jobs_asked_one_by_one_share_a_table_whatever_their_work():
    costs = np.array([[[1e-8], [5e-8], [2e-8]]])
    tables = [LOOKAHEAD.table(costs, np.zeros(1), work) for work in (9_000.0, 30_000.0)]
    assert tables[0].usd is tables[1].usd
    assert LOOKAHEAD.table(costs, np.array([1e-5]), 9_000.0).usd is not tables[0].usd
