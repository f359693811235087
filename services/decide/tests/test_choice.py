"""What to do now: the deadline first, then the cheapest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.planning.choice import PARKED_MODE, Situation, choose_modes
from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.margin import LEAST_MARGIN_SECONDS

HOUR = 3_600.0
DEVICE = Device.of(RESNET18_V100)
SWITCHES = SwitchCosts()
FULL, EFFICIENT = DEVICE.full, 2


def choose(
    costs, work_hours, deadline_hours, *, running=True, margin=0.0, usd_per_hour=0.0, step=HOUR, switches=SWITCHES
):
    """Of one job; `costs` are of the coming hours, the last one goes on for ever."""
    rest = deadline_hours * HOUR - step
    stages = int(max(rest, 0.0) // HOUR) + 1
    ahead = [costs[min(n + 1, len(costs) - 1)] for n in range(stages)]
    situation = Situation(
        work_seconds=np.array([work_hours * HOUR]),
        running=np.array([running]),
        unit_costs_now=np.array([costs[0]]),
        unit_costs=np.array(ahead)[None, :, None],
        rest_seconds=rest,
        margin_seconds=np.array([margin]),
        usd_per_second=np.array([usd_per_hour / HOUR]),
    )
    return int(choose_modes(situation, DEVICE, switches, step, HOUR)[0])


def followed(prices, work_hours, deadline_hours, *, margin=0.0, foreseen=None, running=True, step=HOUR, modes=None):
    """Step by step with what is expected: seconds from the start until all is done; `modes` takes what was done."""
    work, number = work_hours * HOUR, 0
    while work > 1e-6:
        expected = [prices[number % len(prices)], *(foreseen or prices[1:] or prices)]
        left_hours = deadline_hours - number * step / HOUR
        mode = choose(expected, work / HOUR, left_hours, running=running, margin=margin, step=step)
        if modes is not None:
            modes.append(mode)
        if mode == PARKED_MODE:
            running = False
        else:
            room = step - (0.0 if running else SWITCHES.resume_seconds)
            if work <= room * DEVICE.speeds[mode] * (1 + 1e-12):
                return number * step + step - room + work / DEVICE.speeds[mode]
            work, running = work - room * DEVICE.speeds[mode], True
        number += 1
    return number * step


@given(
    prices=st.lists(st.floats(-1e-7, 1e-6), min_size=2, max_size=30),
    foreseen=st.lists(st.floats(-1e-7, 1e-6), min_size=1, max_size=6),
    work_hours=st.floats(0.05, 8),
    slack=st.floats(0, 3),
)
def test_the_deadline_is_kept_whatever_is_foreseen_and_whatever_comes(prices, foreseen, work_hours, slack):
    """With the margin of any job: a resume, and what a clock may be off."""
    deadline = max(work_hours * (1 + slack), work_hours)
    assert followed(prices, work_hours, deadline, margin=36.0, foreseen=foreseen) <= deadline * HOUR * (1 + 1e-9)


@settings(max_examples=30)
@given(
    prices=st.lists(st.floats(-1e-7, 1e-6), min_size=2, max_size=30),
    foreseen=st.lists(st.floats(-1e-7, 1e-6), min_size=1, max_size=6),
    work_hours=st.floats(0.05, 2),
    spare_seconds=st.floats(0, 60) | st.floats(0, 7_200),
    running=st.booleans(),
    step=st.sampled_from([300.0, 900.0, HOUR]),
)
def test_without_any_margin_a_deadline_is_missed_by_no_more_than_a_resume(
    prices, foreseen, work_hours, spare_seconds, running, step
):
    """That the margin of any job covers: it is kept from steps of every length, parked or not at the start."""
    resume = 0.0 if running else SWITCHES.resume_seconds
    deadline = work_hours + (resume + spare_seconds) / HOUR
    for margin, late in ((0.0, SWITCHES.resume_seconds), (LEAST_MARGIN_SECONDS, 0.0)):
        done = followed(prices, work_hours, deadline, margin=margin, foreseen=foreseen, running=running, step=step)
        assert done <= deadline * HOUR * (1 + 1e-9) + late


@pytest.mark.parametrize("margin", [0.0, LEAST_MARGIN_SECONDS, 3_600.0])
def test_the_deadline_is_kept_in_a_market_that_always_promises_a_cheaper_hour(margin):
    """What is expected never comes. It waits as long as it may, then it runs to the end without another pause."""
    modes = []
    done = followed([1e-6], 5.0, 20.0, margin=margin, foreseen=[1e-10], modes=modes)
    assert done <= 20 * HOUR + (SWITCHES.resume_seconds if margin == 0 else 0.0)
    assert modes.count(PARKED_MODE) >= 15 - 1 - margin / HOUR
    assert PARKED_MODE not in modes[modes.count(PARKED_MODE) :]


@settings(max_examples=30)
@given(
    level=st.floats(1e-9, 1e-6),
    ripples=st.lists(st.floats(-0.001, 0.001), min_size=24, max_size=24),
    work_hours=st.floats(1, 12),
    slack=st.floats(0.1, 2),
)
def test_prices_that_hardly_differ_stop_nothing(level, ripples, work_hours, slack):
    """A pause costs seconds at the highest draw and parked watts after it: no ripple pays for that."""
    prices, modes = [level * (1 + ripple) for ripple in ripples], []
    followed(prices, work_hours, work_hours * (1 + slack), margin=LEAST_MARGIN_SECONDS, foreseen=prices, modes=modes)
    assert PARKED_MODE not in modes


def test_the_dearer_a_switch_the_more_a_pause_has_to_save():
    def lowest(seconds):
        switches = SwitchCosts(pause_seconds=seconds, resume_seconds=seconds)
        prices = np.geomspace(1e-8, 1e-6, 150)
        return min(p for p in prices if choose([p, 1e-8, 1e-8], 1.0, 3.0, switches=switches) == PARKED_MODE)

    thresholds = [lowest(seconds) for seconds in (0.0, 60.0, 120.0, 300.0)]
    assert thresholds == sorted(set(thresholds))
    assert thresholds[-1] > 1.2 * thresholds[0]


@pytest.mark.parametrize("price", [-1e-7, 0.0, 1e-9, 1e-6])
@pytest.mark.parametrize("deadline_hours", [4.0, 3.0, 1.0, 0.0, -5.0])
def test_without_slack_or_after_the_deadline_it_is_full_power(price, deadline_hours):
    assert choose([price] * 5, 4.0, deadline_hours) == FULL


@given(price=st.floats(1e-10, 1e-5), work_hours=st.floats(0.5, 10), slack=st.floats(0.2, 3))
def test_at_one_price_for_all_hours_it_never_waits_and_takes_the_most_efficient_cap(price, work_hours, slack):
    mode = choose([price] * 4, work_hours, work_hours * (1 + slack))
    energies = [draw / speed for draw, speed in zip(DEVICE.draws_w, DEVICE.speeds, strict=True)]
    assert mode != PARKED_MODE
    assert energies[mode] <= min(energies) * 1.01


def test_it_waits_for_a_cheaper_hour_and_not_for_one_hardly_cheaper():
    """Waiting for an hour costs its parked watts, a pause and a resume."""
    assert choose([5e-8, 1e-8, 1e-8], 1.0, 3.0) == PARKED_MODE
    assert choose([5e-8, 4.9e-8, 4.9e-8], 1.0, 3.0) != PARKED_MODE


def test_what_waiting_costs_keeps_it_running():
    assert choose([5e-8, 1e-8, 1e-8], 1.0, 3.0, usd_per_hour=2.0) == FULL


def test_a_parked_job_needs_more_to_resume_than_a_running_one_to_go_on():
    """Of prices at which either waits, the running one stands more."""

    def highest(*, running):
        prices = np.linspace(1e-8, 4e-8, 400)
        return max(price for price in prices if choose([price, 1.5e-8, 1.5e-8], 1.0, 3.0, running=running) >= 0)

    assert highest(running=True) > highest(running=False)


def test_where_drawing_is_paid_for_it_draws_all_it_can():
    assert choose([-1e-7, 1e-8, 1e-8], 3.0, 9.0) == FULL


def test_more_margin_never_waits_longer():
    prices = [5e-8, *[1e-8] * 5]
    chosen = [choose(prices, 4.0, 6.0, margin=seconds) for seconds in (0.0, 36.0, 3_600.0, 7_200.0, 9_000.0)]
    assert chosen[0] == PARKED_MODE
    assert chosen[-1] == FULL
    assert sorted(chosen) == chosen


@given(costs=st.lists(st.floats(-1e-7, 1e-6), min_size=3, max_size=8), factor=st.sampled_from([0.01, 7.0]))
def test_another_currency_changes_no_choice(costs, factor):
    assert choose(costs, 2.0, 6.0) == choose([cost * factor for cost in costs], 2.0, 6.0)


@pytest.mark.parametrize("step", [300.0, 900.0])
def test_steps_shorter_than_a_stage_keep_the_deadline_too(step):
    assert choose([1e-6, 1e-9, 1e-9], 2.0, 2.0 + 40 / HOUR, step=step, margin=36.0) == FULL
    assert choose([1e-6, 1e-9, 1e-9], 2.0, 4.0, step=step, margin=36.0) == PARKED_MODE
