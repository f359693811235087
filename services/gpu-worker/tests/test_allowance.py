import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import GridState, Pulse, Replay, ResumeToken
from carbonshift.gpu_worker.allowance import Allowance, Verdict, follow, judge, take
from carbonshift.gpu_worker.orders import Cause, order
from carbonshift.gpu_worker.setpoint import BoardRange

NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)
START = Allowance.at_start(parked_w=43.0, floor_w=100.0)
JULY = Replay(run="july", speed=60.0)
BOARD = BoardRange(min_limit_w=100.0, max_limit_w=250.0, default_limit_w=250.0)


def state(pulse: Pulse = Pulse.GREEN, epoch: int = 1, replay: Replay | None = None) -> GridState:
    return GridState(
        region="caiso",
        interval_start=NOON,
        interval_seconds=300,
        state=pulse,
        since=NOON,
        score=None,
        price_norm=None,
        carbon_norm=None,
        power_limit_w=250.0,
        power_fraction=1.0,
        run=pulse is not Pulse.RED,
        epoch=epoch,
        reasons=(),
        valid_until=NOON + timedelta(seconds=900),
        policy="eco-pulse",
        replay=replay,
    )


def token(watts: float = 60.0, epoch: int = 1, replay: Replay | None = None, first: int = 0, last: int = 300):
    return ResumeToken(
        site="local",
        slot=1,
        watts=watts,
        not_before=NOON + timedelta(seconds=first),
        expires_at=NOON + timedelta(seconds=last),
        epoch=epoch,
        replay=replay,
    )


states = st.builds(state, pulse=st.sampled_from(Pulse), epoch=st.integers(1, 3), replay=st.sampled_from([None, JULY]))
tokens = st.builds(token, watts=st.floats(1, 300), epoch=st.integers(1, 3), replay=st.sampled_from([None, JULY]))
plans = st.lists(st.sampled_from([None, "paused", 0.0, 0.5, 1.0]), max_size=2)
"""Of the jobs here; empty = no job."""
shares = st.just(math.inf) | st.floats(0, 300)
steps = st.lists(st.one_of(st.tuples(states, plans, shares), tokens), max_size=30)


def ordered(state, modes=(None,), share_w=math.inf):
    held = state.state is Pulse.UNKNOWN
    return order(state, modes, held=held, board=BOARD, ceiling_w=250.0, share_w=share_w)


@given(steps=steps)
def test_it_never_exceeds_what_was_granted_and_falls_at_once(steps):
    """Whatever comes in whatever order: more than the parked draw is there only by tokens, and never beyond a share."""
    allowance, heard, granted_w = START, None, 0.0
    for step in steps:
        if isinstance(step, ResumeToken):
            verdict = judge(step, allowance, heard, NOON) if heard else Verdict.HAND_BACK
            if verdict is Verdict.TAKE:
                raised = take(allowance, step)
                assert allowance.watts < raised.watts <= allowance.watts + step.watts
                allowance, granted_w = raised, granted_w + step.watts
        else:
            heard, modes, share_w = step
            told = ordered(heard, modes, share_w)
            before, allowance = allowance, follow(allowance, told)
            assert allowance.watts <= before.watts
            assert allowance.watts <= max(share_w, START.parked_w)
            if told.basis is Cause.HOLD:
                assert (allowance.permit, allowance.permitted) == (before.permit, before.permitted)
                assert share_w < before.watts or allowance.watts == before.watts
            elif not told.permitted or (told.basis is not Cause.PLAN and before.permit != allowance.permit):
                assert allowance.watts == START.parked_w
            else:
                assert allowance.watts <= max(told.wished_w, START.floor_w)
            if allowance.watts == START.parked_w:
                granted_w = 0.0
        assert allowance.watts <= START.parked_w + granted_w + 1e-9
        assert allowance.running == (allowance.permitted and allowance.watts >= allowance.floor_w)
        assert allowance.limit_w >= allowance.floor_w
        assert not allowance.running or allowance.limit_w == allowance.watts


@pytest.mark.parametrize(
    ("verdict", "token", "state", "seconds"),
    [
        (Verdict.TAKE, token(), state(), 0),
        (Verdict.HOLD, token(first=10), state(), 9),
        (Verdict.TAKE, token(first=10), state(), 10),
        (Verdict.VOID_EXPIRED, token(), state(), 300),
        (Verdict.VOID_EPOCH, token(epoch=1), state(epoch=2), 0),
        (Verdict.HOLD, token(epoch=2), state(epoch=1), 0),
        (Verdict.VOID_EXPIRED, token(epoch=2), state(epoch=1), 300),
        (Verdict.VOID_RUN, token(replay=JULY), state(), 0),
        (Verdict.VOID_RUN, token(), state(replay=JULY), 0),
        (Verdict.HOLD, token(), state(Pulse.UNKNOWN), 0),
        (Verdict.VOID_EXPIRED, token(), state(Pulse.UNKNOWN), 300),
        (Verdict.VOID_FORBIDDEN, token(), state(Pulse.RED), 0),
    ],
)
def test_what_becomes_of_a_token(verdict, token, state, seconds):
    allowance = replace(START, wanted_w=250.0)
    assert judge(token, allowance, state, NOON + timedelta(seconds=seconds)) is verdict


def test_a_token_nobody_needs_here_is_handed_back():
    full = take(follow(START, ordered(state())), token(watts=500.0))
    assert full.watts == 250.0
    assert judge(token(), full, state(), NOON) is Verdict.HAND_BACK


def test_training_resumes_once_the_boards_lowest_limit_is_granted():
    allowance = follow(START, ordered(state()))
    watts = []
    while allowance.wants:
        allowance = take(allowance, token(watts=50.0))
        watts.append((allowance.watts, allowance.running, allowance.limit_w))
    assert watts == [
        (93.0, False, 100.0),
        (143.0, True, 143.0),
        (193.0, True, 193.0),
        (243.0, True, 243.0),
        (pytest.approx(250.0), True, pytest.approx(250.0)),
    ]


def test_a_red_nobody_heard_ends_what_was_granted_before_it():
    running = take(follow(START, ordered(state(epoch=1))), token(watts=500.0))
    assert follow(running, ordered(state(epoch=1))).watts == 250.0
    assert follow(running, ordered(state(epoch=2))).watts == 43.0


def test_a_plan_runs_through_red_and_keeps_what_it_was_granted():
    red = state(Pulse.RED, epoch=1)
    running = take(follow(START, ordered(red, [1.0])), token(watts=500.0))
    assert (running.running, running.watts) == (True, 250.0)
    assert follow(running, ordered(state(epoch=2), [1.0])).watts == 250.0
    assert follow(running, ordered(red, [0.5])).watts == 175.0
    assert follow(running, ordered(red)).watts == 43.0


def test_a_token_is_taken_in_red_for_a_job_that_its_plan_lets_run_and_for_no_other():
    red = state(Pulse.RED)
    planned, not_planned = (follow(START, ordered(red, modes)) for modes in ([1.0], [None]))
    assert judge(token(), planned, red, NOON) is Verdict.TAKE
    assert judge(token(), not_planned, red, NOON) is Verdict.VOID_FORBIDDEN


def test_a_target_lowers_even_what_unknown_holds_and_a_share_below_the_lowest_limit_is_a_pause():
    running = take(follow(START, ordered(state())), token(watts=500.0))
    held = follow(running, ordered(state(Pulse.UNKNOWN), share_w=150.0))
    assert (held.watts, held.running) == (150.0, True)
    parked = follow(running, ordered(state(), share_w=99.0))
    assert (parked.watts, parked.running, parked.wants) == (43.0, False, False)
    back = follow(parked, ordered(state()))
    assert (back.watts, back.wants) == (43.0, True)
