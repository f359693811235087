"""Who has the last word on a board: a target, else UNKNOWN's hold, else a plan, else the state."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import GridState, JobPlan, PowerTarget, Pulse, Replay
from carbonshift.gpu_worker.job_work import JobWork
from carbonshift.gpu_worker.orders import Cause, lets_run, order
from carbonshift.gpu_worker.plans import Plans
from carbonshift.gpu_worker.setpoint import BoardRange
from carbonshift.gpu_worker.site_limit import SILENT_BOARD_SECONDS, SiteLimit

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
BOARD = BoardRange(min_limit_w=100.0, max_limit_w=250.0, default_limit_w=250.0)
HOUR = timedelta(hours=1)


def state(pulse=Pulse.GREEN, fraction=1.0):
    return GridState(
        region="caiso",
        interval_start=NOON,
        interval_seconds=300,
        state=pulse,
        since=NOON,
        score=None,
        price_norm=None,
        carbon_norm=None,
        power_limit_w=100.0 + 150.0 * fraction,
        power_fraction=fraction,
        run=pulse is not Pulse.RED,
        epoch=1,
        reasons=(),
        valid_until=NOON + HOUR,
        policy="planner",
    )


def told(pulse=Pulse.GREEN, modes=(None,), share_w=math.inf, fraction=1.0, fallback_w=math.inf):
    left = {"share_w": share_w, "fallback_w": fallback_w}
    held = pulse is Pulse.UNKNOWN
    found = order(state(pulse, fraction), modes, held=held, board=BOARD, ceiling_w=250.0, **left)
    return found.cause, found.permitted, found.limit_w


@pytest.mark.parametrize(
    ("arguments", "cause", "permitted", "limit_w"),
    [
        ({}, Cause.STATE, True, 250.0),
        ({"pulse": Pulse.RED, "fraction": 0.0}, Cause.STATE, False, 100.0),
        ({"modes": ["paused"]}, Cause.PLAN, False, 100.0),
        ({"pulse": Pulse.RED, "modes": [0.5]}, Cause.PLAN, True, 175.0),
        ({"modes": [0.5, None]}, Cause.STATE, True, 250.0),
        ({"modes": ["paused", 0.5]}, Cause.PLAN, True, 175.0),
        ({"pulse": Pulse.RED, "modes": ["paused", None]}, Cause.STATE, False, 250.0),
        ({"pulse": Pulse.UNKNOWN, "modes": ["paused"]}, Cause.HOLD, False, math.inf),
        ({"pulse": Pulse.UNKNOWN, "share_w": 120.0}, Cause.TARGET, False, 120.0),
        ({"modes": [1.0], "share_w": 120.0}, Cause.TARGET, True, 120.0),
        ({"pulse": Pulse.UNKNOWN, "fallback_w": 100.0}, Cause.FALLBACK, False, 100.0),
        ({"pulse": Pulse.UNKNOWN, "fallback_w": 100.0, "share_w": 90.0}, Cause.TARGET, False, 90.0),
        ({"fallback_w": 100.0}, Cause.STATE, True, 250.0),
        ({"modes": [0.0], "share_w": 120.0}, Cause.PLAN, True, 100.0),
        ({"modes": []}, Cause.STATE, False, 100.0),
        ({"pulse": Pulse.UNKNOWN, "modes": []}, Cause.STATE, False, 100.0),
    ],
)
def test_the_highest_has_the_word(arguments, cause, permitted, limit_w):
    assert told(**arguments) == (cause, permitted, limit_w)


@pytest.mark.parametrize(("meaning", "state_w"), [("range", 450.0), ("absolute", 200.0), ("default", 490.0)])
def test_what_a_state_asks_for_is_read_as_set_and_a_plan_s_modes_are_shares_of_the_board_s_range(meaning, state_w):
    h100 = BoardRange(min_limit_w=200.0, max_limit_w=700.0, default_limit_w=700.0)
    amber = state(Pulse.AMBER, 0.5)  # 175 W for the reference board
    for modes, limit_w in (([None], state_w), ([0.5], 450.0), (["paused"], 200.0), (["paused", None], state_w)):
        found = order(amber, modes, held=False, board=h100, ceiling_w=650.0, meaning=meaning)
        assert found.limit_w == pytest.approx(limit_w)


@given(
    pulse=st.sampled_from(Pulse),
    modes=st.lists(st.sampled_from([None, "paused", 0.0, 0.4, 1.0]), max_size=3),
    share_w=st.floats(0, 400),
    fraction=st.floats(0, 1),
)
def test_a_target_only_lowers(pulse, modes, share_w, fraction):
    with_target, without = told(pulse, modes, share_w, fraction), told(pulse, modes, math.inf, fraction)
    assert with_target[1] == without[1]
    assert with_target[2] == (min(without[2], share_w) if modes else without[2])


@pytest.mark.parametrize(
    ("pulse", "mode", "runs"),
    [(Pulse.RED, None, False), (Pulse.RED, 0.0, True), (Pulse.GREEN, "paused", False), (Pulse.GREEN, None, True)],
)
def test_a_plan_outranks_the_state_for_its_job(pulse, mode, runs):
    assert lets_run(state(pulse), mode) is runs


def plan(first=0, modes=(1.0, "paused", 0.5), *, valid_hours=3, job="a", run=None):
    origin = NOON + first * HOUR
    return JobPlan(
        job=job,
        origin=origin,
        step_seconds=3_600,
        modes=modes,
        expected_cost_usd=None,
        expected_carbon_g=None,
        expected_finish=None,
        deadline_at_risk=False,
        valid_until=origin + valid_hours * HOUR,
        policy="planner",
        replay=Replay(run=run) if run else None,
    )


def heard(*events):
    plans = Plans()
    for event in events:
        plans.hear(event)
    return plans


def test_a_plan_counts_step_by_step_until_it_is_stale():
    plans = heard(plan(valid_hours=5))
    modes = [plans.mode("a", None, NOON + hours * HOUR) for hours in (-1, 0, 0.99, 1, 2, 4.9, 5)]
    assert modes == [None, 1.0, 1.0, "paused", 0.5, 0.5, None]


def test_a_newer_plan_replaces_an_older_one_once_it_begins_and_never_the_other_way_round():
    plans = heard(plan(0, (1.0, 1.0, 1.0)), plan(1, ("paused",)), plan(0, (0.0,)))
    assert [plans.mode("a", None, NOON + hours * HOUR) for hours in (0.5, 1.0)] == [1.0, "paused"]


def test_plans_heard_long_before_they_begin_do_not_end_the_one_in_force():
    plans = heard(plan(0, (0.5,), valid_hours=9), *(plan(hour, ("paused",)) for hour in range(1, 6)))
    assert [plans.mode("a", None, NOON + hours * HOUR) for hours in (0.5, 1.0)] == [0.5, "paused"]


def test_each_job_and_each_replay_has_plans_of_its_own():
    plans = heard(plan(run="july"), plan(job="b", modes=("paused",)))
    assert plans.mode("a", None, NOON) is None
    assert plans.mode("a", "july", NOON) == 1.0
    assert plans.mode("b", None, NOON) == "paused"


def test_it_says_when_to_look_again():
    plans = heard(plan(0, valid_hours=2), plan(3))
    turns = [plans.next_turn("a", None, NOON + hours * HOUR) for hours in (0.5, 1.5, 2.5)]
    assert turns == [NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR]
    assert plans.next_turn("b", None, NOON) is None


def target(limit_w, start=0, end=1):
    return PowerTarget(site="s", limit_w=limit_w, start=NOON + start * HOUR, end=NOON + end * HOUR, requested_by="u")


def test_the_lowest_target_in_force_is_shared_by_what_boards_could_draw():
    site = SiteLimit()
    for one in (target(600), target(400), target(100, 1, 2)):
        site.ask(one, NOON)
    site.hear(("w", "GPU-2"), 750.0, 0.0)
    assert site.share_w(250.0, NOON, 1.0) == 100.0
    assert site.share_w(250.0, NOON + HOUR, 1.0) == 25.0
    assert site.share_w(250.0, NOON + 2 * HOUR, 1.0) == math.inf
    assert site.share_w(250.0, NOON, SILENT_BOARD_SECONDS + 1.0) == 400.0


@given(ceilings=st.lists(st.floats(1, 700), min_size=1, max_size=8), limit_w=st.floats(1, 5_000))
def test_the_shares_of_all_boards_are_the_target(ceilings, limit_w):
    total = 0.0
    for own, ceiling_w in enumerate(ceilings):
        site = SiteLimit()
        site.ask(target(limit_w), NOON)
        for other, other_w in enumerate(ceilings):
            if other != own:
                site.hear(("w", str(other)), other_w, 0.0)
        total += site.share_w(ceiling_w, NOON, 0.0)
    assert total == pytest.approx(limit_w)


def test_a_board_that_can_draw_nothing_has_no_share():
    site = SiteLimit()
    assert site.share_w(0.0, NOON, 0.0) == math.inf
    site.ask(target(400), NOON)
    assert site.share_w(0.0, NOON, 0.0) == 0.0


def test_a_target_that_is_over_is_forgotten_and_the_next_turn_is_known():
    site = SiteLimit()
    site.ask(target(100, 0, 1), NOON)
    site.ask(target(100, 2, 3), NOON)
    assert [site.next_turn(NOON + hours * HOUR) for hours in (0, 1, 2, 3)] == [
        NOON + HOUR,
        NOON + 2 * HOUR,
        NOON + 3 * HOUR,
        None,
    ]


def test_each_job_counts_the_work_of_its_own_time():
    work = JobWork().count(0.0, ["a"]).count(100.0, ["a", "b"]).count(150.0, []).count(400.0, ["b"]).count(410.0, [])
    assert (work.of("a"), work.of("b"), work.of("c")) == (150.0, 60.0, 0.0)
    assert work.without("a").of("a") == 0.0
