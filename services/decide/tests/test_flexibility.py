"""What a site could shed, for how long, at what cost."""

import itertools
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import JobStatus, RunState
from carbonshift.decide.flexibility import flexibility
from carbonshift.decide.job_desk import SWITCHES, JobDesk, board_of
from carbonshift.decide.planning.choice import Situation
from carbonshift.decide.planning.flexibility import SHED_SECONDS, Waiter, sheds, shift_costs_usd
from carbonshift.decide.planning.outlook import Outlook
from carbonshift.decide.planning.seasonal import Clock
from carbonshift.decide.ramp import Draw
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.token_desk import Heard

BOARD = board_of(250.0)
SETTINGS = DecideSettings()


def situation(costs, work_hours, usd_per_hour=0.0):
    return Situation(
        work_seconds=np.array([work_hours * 3_600.0]),
        running=np.array([True]),
        unit_costs_now=np.array([costs[0]]),
        unit_costs=np.array(costs[1:])[None, :, None],
        rest_seconds=3_600.0 * (len(costs) - 1),
        margin_seconds=np.zeros(1),
        usd_per_second=np.array([usd_per_hour / 3_600.0]),
    )


def heard(job, allowance_w=250.0, ceiling_w=250.0):
    return Heard(at_seconds=0.0, region="caiso", draw=Draw(allowance_w=allowance_w, ceiling_w=ceiling_w), job=job)


def status(tick, **changes):
    values = {
        "job": "a",
        "worker": "w",
        "site": "s",
        "region": "caiso",
        "observed_at": tick(0).interval_start,
        "state": RunState.RUNNING,
        "step": 100,
        "work_seconds": 3_600.0,
        "remaining_steps": 200,
        "deadline": tick(0).interval_start + timedelta(hours=5),
    }
    return JobStatus.model_validate(values | changes)


@given(costs=st.lists(st.floats(1e-9, 1e-6), min_size=8, max_size=20), usd_per_hour=st.floats(0, 3))
def test_waiting_longer_never_costs_less(costs, usd_per_hour):
    found = shift_costs_usd(situation(costs, 3.0, usd_per_hour), BOARD, SWITCHES, 3_600.0, 3_600.0)
    assert all(a <= b * (1 + 1e-9) + 1e-12 for a, b in itertools.pairwise(found))
    assert found[0] > 0


def test_waiting_through_a_dear_hour_costs_the_switch_alone_and_through_cheap_ones_their_difference():
    """Four cheap hours come first: whoever parks in them has to work in dear ones."""
    dear_first = shift_costs_usd(situation([9e-8, *[1e-8] * 12], 4.0), BOARD, SWITCHES, 3_600.0, 3_600.0)
    cheap_first = shift_costs_usd(situation([*[1e-8] * 4, *[9e-8] * 9], 4.0), BOARD, SWITCHES, 3_600.0, 3_600.0)
    switch_usd = 12.0 * BOARD.switch_w * 9e-8
    assert dear_first[1] == pytest.approx(switch_usd, rel=1e-6)
    assert cheap_first[2] > 3 * 3_600 * 142 * 8e-8


def test_who_cannot_wait_so_long_is_not_offered():
    waiters = [
        Waiter(job="a", watts=100.0, longest_seconds=1_000.0, costs_usd=(1.0, 2.0, 3.0)),
        Waiter(job="a", watts=50.0, longest_seconds=4_000.0, costs_usd=(1.0, 2.0, 3.0)),
        Waiter(job="b", watts=25.0, longest_seconds=float("inf"), costs_usd=(0.5, None, None)),
        Waiter(job="c", watts=0.0, longest_seconds=float("inf"), costs_usd=(9.0, 9.0, 9.0)),
    ]
    assert [(s.seconds, s.watts, s.cost_usd, s.jobs) for s in sheds(waiters)] == [
        (900, 175.0, 2.5, 2),
        (3_600, 75.0, None, 2),
        (14_400, 25.0, None, 1),
    ]


def test_a_site_offers_what_its_jobs_draw_above_parked(tick):
    """One job has two hours of slack, one has no deadline, one board is idle, one is parked already."""
    outlook, jobs = Outlook(Clock(step_seconds=300)), JobDesk()
    outlook.hear(tick(0))
    jobs.heard(status(tick))
    devices = [heard("a"), heard("b", 142.0), heard(None, 250.0), heard("c", 43.0)]
    offer = flexibility("s", tick(0), devices, jobs, outlook, SETTINGS)
    assert (offer.committed_w, [shed.seconds for shed in offer.sheds]) == (685.0, list(SHED_SECONDS))
    assert [(shed.watts, shed.jobs) for shed in offer.sheds] == [(306.0, 2), (306.0, 2), (99.0, 1)]
    assert all(shed.cost_usd > 0 for shed in offer.sheds)


def test_without_a_price_the_watts_are_offered_and_the_cost_is_unknown(tick):
    offer = flexibility("s", tick(0), [heard("b")], JobDesk(), None, SETTINGS)
    assert [(shed.watts, shed.cost_usd) for shed in offer.sheds] == [(207.0, None)] * len(SHED_SECONDS)


def test_a_site_without_jobs_offers_nothing_for_nothing(tick):
    offer = flexibility("s", tick(0), [], JobDesk(), None, SETTINGS)
    assert {(shed.watts, shed.cost_usd, shed.jobs) for shed in offer.sheds} == {(0, 0, 0)}


def test_a_larger_board_pays_more_for_its_parked_watts(tick):
    outlook = Outlook(Clock(step_seconds=300))
    outlook.hear(tick(0))
    small, large = (
        flexibility("s", tick(0), [heard("b", watts, watts)], JobDesk(), outlook, SETTINGS).sheds[1]
        for watts in (250.0, 700.0)
    )
    assert large.cost_usd == pytest.approx(2.8 * small.cost_usd)


def test_a_job_of_unknown_work_with_a_deadline_is_not_offered(tick):
    desk = JobDesk()
    desk.heard(status(tick, step=0, deadline=tick(0).interval_start + timedelta(minutes=30)))
    offer = flexibility("s", tick(0), [heard("a")], desk, None, SETTINGS)
    assert [shed.watts for shed in offer.sheds] == [0.0] * len(SHED_SECONDS)
