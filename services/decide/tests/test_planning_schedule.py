"""The cheapest schedule against HiGHS, whose models here are written from the accounting, not from the code."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from carbonshift.common.accounting import Usage
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.planning.errors import UnplannableError
from carbonshift.decide.planning.job import FREE_SWITCHES, Device, Job, SwitchCosts
from carbonshift.decide.planning.schedule import cheapest, plan_many

V100 = Device.of(RESNET18_V100)
PER_J = 1 / 3.6e9
"""USD/J in a USD/MWh."""

prices = st.one_of(st.integers(-60, 200), st.floats(-100, 400)).map(float)


def devices():
    return st.one_of(
        st.just(V100),
        st.lists(st.tuples(st.floats(60, 400), st.floats(0.1, 1.2)), min_size=1, max_size=4).map(
            lambda modes: Device(
                limits_w=tuple(draw for draw, _ in modes),
                draws_w=tuple(draw for draw, _ in modes),
                speeds=tuple(speed for _, speed in modes),
                parked_w=50.0,
            )
        ),
    )


@st.composite
def problems(draw, largest=8, device=None):
    """Unit costs, step, job and device; about one job in ten has too little time."""
    device = draw(devices()) if device is None else device
    costs = np.array(draw(st.lists(prices, min_size=1, max_size=largest))) * PER_J
    step = draw(st.sampled_from([300.0, 3_600.0]))
    deadline = draw(st.floats(0.05, 1.0)) * step * costs.size
    share = draw(st.one_of(st.floats(0.01, 1.1), st.just(1.0)))
    job = Job(
        work_seconds=share * deadline * max(device.speeds),
        deadline_seconds=deadline,
        usd_per_gpu_hour=draw(st.sampled_from([0.0, 0.002, 0.5])),
        running=draw(st.booleans()),
    )
    return costs, step, job, device


def scale_usd(costs, job, device):
    """What differences are measured by: the job at full power at the mean of the absolute costs."""
    rate = np.abs(costs).mean() * max(device.draws_w) + job.usd_per_gpu_hour / 3_600
    return job.work_seconds / max(device.speeds) * rate + 1e-12


def accounted_usd(schedule, costs, job, device):
    """The schedule's cost by the accounting of workers and reports."""
    total = Usage()
    for interval, cost in enumerate(costs):
        spans = [(schedule.switch_seconds[interval], max(device.draws_w), 0.0, False)]
        spans += [(schedule.seconds[interval, 0], device.parked_w, 0.0, True)]
        modes = zip(schedule.seconds[interval, 1:], device.draws_w, device.speeds, strict=True)
        spans += [(seconds, draw_w, speed, False) for seconds, draw_w, speed in modes]
        for seconds, draw_w, speed, parked in spans:
            total += Usage.of(
                seconds=seconds,
                energy_j=draw_w * seconds,
                work_seconds=speed * seconds,
                parked=parked,
                price_usd_per_mwh=cost / PER_J,
                carbon_g_per_kwh=0.0,
            )
    return total, total.cost_usd + total.seconds / 3_600 * job.usd_per_gpu_hour


def least_usd(costs, step, job, device, switches):
    """The least cost over every interval of completion; None where there is no schedule. Exact to the solver's 1e-7."""
    least = [_least_in(k, costs, step, job, device, switches) for k in range(costs.size)]
    return min((value for value in least if value is not None), default=None)


def _least_in(last, costs, step, job, device, switches):  # noqa: PLR0915  # a model is a list of its rows
    """Times in steps, costs in 1e-6 USD/MWh W: numbers near one, as the solver's tolerances are absolute."""
    closing = min(step, job.deadline_seconds - last * step) / step
    if closing <= 0:
        return None
    speeds, draws = np.array((0.0, *device.speeds)), np.array((device.parked_w, *device.draws_w))
    unit = costs[: last + 1] / PER_J
    waiting = job.usd_per_gpu_hour / 3_600 / PER_J
    ways, count = speeds.size, last + 1
    times = np.outer(unit, draws)
    times[-1] += waiting
    matrix, low, high = [], [], []

    def row(entries, at_least, at_most):
        line = np.zeros(size)
        for column, value in entries:
            line[column] += value
        matrix.append(line)
        low.append(at_least)
        high.append(at_most)

    def time(i, way):
        return i * ways + way

    size = count * ways if switches.free else count * ways + 4 * last + 1
    row([(time(i, way), speeds[way]) for i in range(count) for way in range(ways)], *2 * [job.work_seconds / step])
    cost = np.zeros(size)
    cost[: count * ways] = times.ravel()
    fixed = waiting * last
    if switches.free:
        for i in range(count):
            row([(time(i, way), 1.0) for way in range(ways)], 1.0 if i < last else 0.0, 1.0 if i < last else closing)
        answer = linprog(
            cost,
            A_ub=np.vstack((np.array(matrix[1:]), -np.array(matrix[1:]))),
            b_ub=np.concatenate((high[1:], -np.array(low[1:]))),
            A_eq=matrix[:1],
            b_eq=low[:1],
            method="highs",
        )
        return (answer.fun + fixed) * PER_J * step if answer.success else None

    pause, resume = switches.pause_seconds / step, switches.resume_seconds / step
    first, full = count * ways, max(device.draws_w)
    closes_running = size - 1
    for i in range(last):
        stay, wait, start, stop = (first + 4 * i + n for n in range(4))
        row([(stay, 1), (wait, 1), (start, 1), (stop, 1)], 1, 1)
        row([*((time(i, way), 1) for way in range(ways)), (start, resume), (stop, pause)], 1, 1)
        row([*((time(i, way), 1) for way in range(1, ways)), (wait, 1)], -np.inf, 1)
        row([(time(i, 0), 1), (stay, 1)], -np.inf, 1)
        begins = [(stay, 1), (stop, 1)]
        if i == 0:
            row(begins, *2 * [float(job.running)])
        else:
            before = first + 4 * (i - 1)
            row([*begins, (before, -1), (before + 2, -1)], 0, 0)
        cost[start] += resume * unit[i] * full
        cost[stop] += pause * unit[i] * full
    if last:
        before = first + 4 * (last - 1)
        row([(closes_running, 1), (before, -1), (before + 2, -1)], 0, 0)
    else:
        row([(closes_running, 1)], *2 * [float(job.running)])
    row([*((time(last, way), 1) for way in range(ways)), (closes_running, -resume)], -np.inf, closing - resume)
    row([(time(last, 0), 1), (closes_running, closing)], -np.inf, closing)
    cost[closes_running] -= resume * (unit[last] * full + waiting)
    fixed += resume * (unit[last] * full + waiting)
    integral = np.concatenate((np.zeros(count * ways), np.ones(size - count * ways)))
    upper = np.where(integral > 0, 1.0, np.inf)
    answer = milp(
        cost,
        constraints=LinearConstraint(np.array(matrix), low, high),
        integrality=integral,
        bounds=Bounds(0, upper),
        options={"mip_rel_gap": 1e-9},
    )
    return (answer.fun + fixed) * PER_J * step if answer.success else None


SWITCHES = SwitchCosts()
some_switches = st.sampled_from([FREE_SWITCHES, SWITCHES, SwitchCosts(pause_seconds=0.0, resume_seconds=120.0)])


def sound(schedule, costs, step, job, device):
    """What holds of every schedule of a job that is not at risk."""
    total, usd = accounted_usd(schedule, costs, job, device)
    scale = scale_usd(costs, job, device)
    assert total.work_seconds == pytest.approx(job.work_seconds, rel=1e-9)
    assert usd == pytest.approx(schedule.total_usd, abs=1e-9 * scale)
    assert schedule.lower_bound_usd <= schedule.total_usd
    assert schedule.finish_seconds <= job.deadline_seconds * (1 + 1e-9)
    assert (schedule.seconds >= -1e-9 * step).all()
    last = int(np.flatnonzero(schedule.drawn_seconds > 0)[-1])
    assert schedule.drawn_seconds[:last] == pytest.approx(np.full(last, step), rel=1e-9)
    assert schedule.drawn_seconds[last] <= step * (1 + 1e-9)
    assert schedule.finish_seconds == pytest.approx(last * step + schedule.drawn_seconds[last], rel=1e-9)
    assert schedule.work_seconds[last] > 0
    assert schedule.energy_j == pytest.approx(schedule.draw_w * schedule.drawn_seconds)


def switches_as_it_says(schedule, job, switches):
    """The states at the intervals' starts fit together, and each change of them is paid for."""
    drawn = np.flatnonzero(schedule.drawn_seconds > 0)
    starts = schedule.starts_running
    assert starts[0] == job.running
    for i in drawn:
        ends = bool(starts[i + 1]) if i < drawn[-1] else True
        seconds = {(False, True): switches.resume_seconds, (True, False): switches.pause_seconds}
        assert schedule.switch_seconds[i] == seconds.get((bool(starts[i]), ends), 0.0)
        if starts[i] and ends:
            assert schedule.seconds[i, 0] == pytest.approx(0.0, abs=1e-9)
        if not starts[i] and not ends:
            assert schedule.work_seconds[i] == 0.0


@settings(max_examples=150, deadline=None)
@given(problem=problems())
def test_without_switch_costs_it_is_the_optimum_of_the_linear_programs(problem):
    costs, step, job, device = problem
    schedule = cheapest(costs, step, job, device, FREE_SWITCHES)
    least = least_usd(costs, step, job, device, FREE_SWITCHES)
    if schedule.at_risk:
        assert job.work_seconds > job.deadline_seconds * max(device.speeds) * (1 - 1e-6)
        return
    sound(schedule, costs, step, job, device)
    if least is not None:  # the solver may find no schedule where the only one is full power to the second
        tolerance = 1e-7 * scale_usd(costs, job, device)
        assert schedule.total_usd == pytest.approx(least, abs=tolerance)
        assert schedule.lower_bound_usd <= least + tolerance
        assert schedule.gap_usd <= tolerance


@settings(max_examples=60, deadline=None)
@given(problem=problems(largest=6), switches=some_switches.filter(lambda some: not some.free))
def test_with_switch_costs_the_optimum_lies_between_bound_and_schedule(problem, switches):
    costs, step, job, device = problem
    schedule = cheapest(costs, step, job, device, switches)
    if schedule.at_risk:
        return
    sound(schedule, costs, step, job, device)
    switches_as_it_says(schedule, job, switches)
    least = least_usd(costs, step, job, device, switches)
    if least is not None:
        tolerance = 2e-6 * scale_usd(costs, job, device)
        assert schedule.lower_bound_usd <= least + tolerance
        assert least <= schedule.total_usd + tolerance


@settings(max_examples=100, deadline=None)
@given(problem=problems(largest=24), switches=some_switches)
def test_every_schedule_is_sound(problem, switches):
    costs, step, job, device = problem
    schedule = cheapest(costs, step, job, device, switches)
    assert schedule.lower_bound_usd <= schedule.total_usd
    assert schedule.step_seconds == step
    if not schedule.at_risk:
        sound(schedule, costs, step, job, device)
        assert (np.count_nonzero(schedule.seconds > 1e-6 * step, axis=1) <= 2).all()
        assert schedule.gap_usd <= 1e-9 * scale_usd(costs, job, device) or not switches.free


@settings(max_examples=60, deadline=None)
@given(problem=problems(largest=12), switches=some_switches, more=st.floats(1.0, 3.0))
def test_more_time_never_costs_more(problem, switches, more):
    costs, step, job, device = problem
    soon = cheapest(costs, step, job, device, switches)
    late = cheapest(costs, step, replace(job, deadline_seconds=job.deadline_seconds * more), device, switches)
    assume(not soon.at_risk)
    allowed = late.gap_usd + 1e-9 * scale_usd(costs, job, device)
    assert late.total_usd <= soon.total_usd + allowed
    assert late.lower_bound_usd <= soon.lower_bound_usd + soon.gap_usd + allowed


@settings(max_examples=60, deadline=None)
@given(problem=problems(largest=12), switches=some_switches, factor=st.sampled_from([0.01, 7.0, 3.6e9]))
def test_another_currency_changes_no_schedule(problem, switches, factor):
    costs, step, job, device = problem
    dear = replace(job, usd_per_gpu_hour=job.usd_per_gpu_hour * factor)
    here, there = cheapest(costs, step, job, device, switches), cheapest(costs * factor, step, dear, device, switches)
    tolerance = (1e-9 + (0 if switches.free else 2e-4)) * scale_usd(costs, job, device)
    assert there.total_usd / factor == pytest.approx(here.total_usd, abs=tolerance)
    assert there.lower_bound_usd / factor == pytest.approx(here.lower_bound_usd, abs=tolerance)


@settings(max_examples=60, deadline=None)
@given(problem=problems(largest=12, device=V100), more=st.floats(0, 200))
def test_a_charge_on_every_joule_costs_what_the_joules_of_either_schedule_say(problem, more):
    """The optimum of the one is a schedule for the other: the least cost rises by something between the two."""
    costs, step, job, device = problem
    before = cheapest(costs, step, job, device, FREE_SWITCHES)
    after = cheapest(costs + more * PER_J, step, job, device, FREE_SWITCHES)
    rise = after.total_usd - before.total_usd
    slack = 1e-9 * scale_usd(np.abs(costs) + more * PER_J, job, device)
    assert after.energy_j.sum() * more * PER_J - slack <= rise <= before.energy_j.sum() * more * PER_J + slack


@settings(max_examples=40, deadline=None)
@given(data=st.data(), switches=some_switches)
def test_many_jobs_get_what_each_gets_alone(data, switches):
    step, intervals = 3_600.0, 10
    costs = np.array(data.draw(st.lists(prices, min_size=3 * intervals, max_size=3 * intervals))) * PER_J
    costs = costs.reshape(3, intervals)
    jobs = [
        Job(
            work_seconds=data.draw(st.floats(0, 40_000)),
            deadline_seconds=data.draw(st.floats(-3_600, 40_000)),
            running=data.draw(st.booleans()),
        )
        for _ in costs
    ]
    together = plan_many(costs, step, jobs, V100, switches)
    for row, job, schedule in zip(costs, jobs, together, strict=True):
        alone = cheapest(row, step, job, V100, switches)
        assert alone.at_risk == schedule.at_risk
        assert alone.finish_seconds == pytest.approx(schedule.finish_seconds)
        assert alone.total_usd == pytest.approx(schedule.total_usd, abs=1e-12)
        assert alone.lower_bound_usd == pytest.approx(schedule.lower_bound_usd, abs=1e-12)


def by_every_split(costs, step, job, device, parts):
    """The least cost over all ways to spend the parts of each interval in one mode each: no hull, no multiplier."""
    part = step / parts
    draws, speeds = (device.parked_w, *device.draws_w), (0.0, *device.speeds)
    least = np.inf
    for ways in itertools.product(range(len(draws)), repeat=parts * costs.size):
        left, usd, now = job.work_seconds, 0.0, 0.0
        for number, way in enumerate(ways):
            speed = speeds[way]
            seconds = min(part, left / speed) if speed else part
            usd += costs[number // parts] * draws[way] * seconds + job.usd_per_gpu_hour / 3_600 * seconds
            left, now = left - speed * seconds, now + seconds
            if left <= 1e-9:
                break
        if left <= 1e-9 and now <= job.deadline_seconds + 1e-9:
            least = min(least, usd)
    return least


@settings(max_examples=20, deadline=None)
@given(
    problem=problems(
        largest=3, device=Device(limits_w=(1.0, 2.0), draws_w=(80.0, 150.0), speeds=(0.6, 1.0), parked_w=43.0)
    )
)
def test_no_split_into_halves_of_intervals_is_cheaper(problem):
    costs, step, job, device = problem
    schedule = cheapest(costs, step, job, device, FREE_SWITCHES)
    assume(not schedule.at_risk)
    least = by_every_split(costs, step, job, device, parts=2)
    assert schedule.total_usd <= least + 1e-9 * scale_usd(costs, job, device)


def test_two_hours_by_hand():
    """Half an hour of work in the cheap hour, at the cap with the least energy per work, the dear hour parked."""
    costs = np.array([100.0, 20.0]) * PER_J
    job = Job(work_seconds=1_800.0, deadline_seconds=7_200.0, running=False)
    schedule = cheapest(costs, 3_600.0, job, V100)
    at_work = 1_800.0 / 0.849
    assert schedule.seconds[0] == pytest.approx([3_600.0, 0.0, 0.0, 0.0, 0.0])
    assert schedule.seconds[1] == pytest.approx([0.0, 0.0, at_work, 0.0, 0.0])
    assert schedule.switch_seconds.tolist() == [0.0, 10.0]
    assert schedule.finish_seconds == pytest.approx(3_610.0 + at_work)
    assert schedule.energy_j == pytest.approx([43.0 * 3_600.0, 123.2 * at_work + 190.2 * 10.0])
    assert schedule.running.tolist() == [False, True]
    assert schedule.draw_w[0] == pytest.approx(43.0)


def test_at_negative_prices_full_power_beats_every_cap():
    job = Job(work_seconds=3_600.0, deadline_seconds=3_600.0 * 3)
    schedule = cheapest(np.array([-50.0, 30.0, 40.0]) * PER_J, 3_600.0, job, V100)
    assert schedule.seconds[0] == pytest.approx([0.0, 0.0, 0.0, 0.0, 3_600.0])
    assert schedule.finish_seconds == pytest.approx(3_600.0)


def test_where_being_parked_pays_the_last_work_waits_for_the_end():
    job = Job(work_seconds=1_800.0, deadline_seconds=7_200.0)
    schedule = cheapest(np.array([-90.0, -10.0]) * PER_J, 3_600.0, job, V100, FREE_SWITCHES)
    assert schedule.finish_seconds == pytest.approx(7_200.0)
    assert 0 < schedule.work_seconds[1] < 1.0
    assert schedule.work_seconds.sum() == pytest.approx(1_800.0)


def test_at_equal_prices_nothing_waits():
    job = Job(work_seconds=7_000.0, deadline_seconds=36_000.0)
    schedule = cheapest(np.full(10, 30.0 * PER_J), 3_600.0, job, V100)
    assert schedule.seconds[:, 0].sum() == 0
    assert schedule.seconds[:, 2].sum() == pytest.approx(7_000.0 / 0.849)
    assert schedule.switch_seconds.sum() == 0
    assert schedule.gap_usd == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("switches", [FREE_SWITCHES, SWITCHES])
def test_where_nothing_costs_the_work_is_done_in_time(switches):
    job = Job(work_seconds=7_000.0, deadline_seconds=36_000.0)
    schedule = cheapest(np.zeros(10), 3_600.0, job, V100, switches)
    assert (schedule.total_usd, schedule.lower_bound_usd) == (0.0, 0.0)
    sound(schedule, np.zeros(10), 3_600.0, job, V100)


def test_the_value_of_waiting_ends_the_waiting():
    costs, job = np.array([60.0, 20.0, 20.0]) * PER_J, Job(work_seconds=3_000.0, deadline_seconds=10_800.0)
    patient, pressed = (
        cheapest(costs, 3_600.0, job, V100),
        cheapest(costs, 3_600.0, replace(job, usd_per_gpu_hour=2.0), V100),
    )
    assert patient.finish_seconds > 3_600.0
    assert pressed.finish_seconds == pytest.approx(3_000.0)
    assert pressed.waiting_usd == pytest.approx(2.0 * 3_000 / 3_600)


@pytest.mark.parametrize("deadline", [-3_600.0, 0.0, 5_000.0, 50_000.0])
def test_no_work_is_an_empty_schedule(deadline):
    schedule = cheapest(
        np.array([10.0, -10.0]) * PER_J, 3_600.0, Job(work_seconds=0.0, deadline_seconds=deadline), V100
    )
    assert (schedule.total_usd, schedule.lower_bound_usd, schedule.finish_seconds) == (0.0, 0.0, 0.0)
    assert not schedule.at_risk
    assert not schedule.drawn_seconds.any()
    assert not schedule.starts_running.any()


@pytest.mark.parametrize(("running", "finish"), [(True, 5_400.0), (False, 5_410.0)])
@pytest.mark.parametrize("deadline", [-10.0, 0.0, 3_600.0, 5_399.0])
def test_a_deadline_that_cannot_be_met_gets_full_power(deadline, running, finish):
    costs, job = (
        np.array([30.0, 900.0, 1.0]) * PER_J,
        Job(work_seconds=5_400.0, deadline_seconds=deadline, running=running),
    )
    schedule = cheapest(costs, 3_600.0, job, V100)
    assert schedule.at_risk
    assert schedule.finish_seconds == pytest.approx(finish)
    assert schedule.seconds[:, :-1].sum() == 0
    assert schedule.work_seconds.sum() == pytest.approx(5_400.0)
    assert schedule.gap_usd == 0


def test_too_few_intervals_show_full_power_and_when_it_would_end():
    schedule = cheapest(np.array([30.0 * PER_J]), 3_600.0, Job(work_seconds=5_400.0, deadline_seconds=9_000.0), V100)
    assert schedule.at_risk
    assert schedule.work_seconds.sum() == pytest.approx(3_600.0)
    assert schedule.finish_seconds == pytest.approx(5_400.0)


@pytest.mark.parametrize("switches", [FREE_SWITCHES, SWITCHES])
@pytest.mark.parametrize("price", [-40.0, 0.0, 40.0])
def test_without_slack_it_is_full_power_and_in_time(switches, price):
    job = Job(work_seconds=10_800.0, deadline_seconds=10_800.0)
    schedule = cheapest(np.full(3, price * PER_J), 3_600.0, job, V100, switches)
    assert not schedule.at_risk
    assert schedule.finish_seconds == pytest.approx(10_800.0)
    assert schedule.seconds[:, -1] == pytest.approx(np.full(3, 3_600.0))


@pytest.mark.parametrize("price", [-40.0, 0.0, 40.0])
def test_one_interval_is_enough(price):
    job = Job(work_seconds=600.0, deadline_seconds=3_000.0)
    schedule = cheapest(np.array([price * PER_J]), 3_600.0, job, V100)
    sound(schedule, np.array([price * PER_J]), 3_600.0, job, V100)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_costs_with_gaps_are_refused(value):
    with pytest.raises(UnplannableError, match="no finite unit cost in interval 1; fill the gaps"):
        cheapest(np.array([1.0, value, 2.0]), 3_600.0, Job(work_seconds=1.0, deadline_seconds=9.0), V100)


@pytest.mark.parametrize(
    ("costs", "step"), [(np.empty(0), 60.0), (np.ones((2, 3)), 60.0), (np.ones(3), 0.0), (np.ones(3), 5.0)]
)
def test_what_makes_no_horizon_is_refused(costs, step):
    with pytest.raises(ValueError, match=r"give|plan in longer"):
        cheapest(costs, step, Job(work_seconds=1.0, deadline_seconds=9.0), V100)


@pytest.mark.parametrize(
    "wrong",
    [
        {"work_seconds": -1.0},
        {"work_seconds": np.nan},
        {"deadline_seconds": np.nan},
        {"deadline_seconds": np.inf},
        {"usd_per_gpu_hour": -1.0},
    ],
)
def test_a_job_that_means_nothing_is_refused(wrong):
    with pytest.raises(UnplannableError):
        replace(Job(work_seconds=1.0, deadline_seconds=1.0), **wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"speeds": (0.0,)}, {"draws_w": (np.nan,)}, {"parked_w": np.inf}, {"limits_w": ()}, {"speeds": (1.0, 1.0)}],
)
def test_a_device_that_means_nothing_is_refused(wrong):
    with pytest.raises(UnplannableError):
        replace(Device(limits_w=(100.0,), draws_w=(90.0,), speeds=(1.0,), parked_w=20.0), **wrong)


@pytest.mark.parametrize("seconds", [-1.0, np.nan])
def test_a_switch_that_gives_time_back_is_refused(seconds):
    with pytest.raises(UnplannableError):
        SwitchCosts(pause_seconds=seconds)
