"""Resume tokens: in no window of any length does the site rise faster than its ramp, whoever takes them and when."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.events import Pulse, Replay
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.ramp import Draw, grant
from carbonshift.decide.settings import DecideSettings, SiteBudget

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(hours=1)
SITE = SiteBudget(ramp_w_per_minute=100, budget_w=1_000, token_w=50)
PARKED = Draw(allowance_w=43, ceiling_w=250)


def state(tick, pulse=Pulse.AMBER, **changes):
    _, _, made = step(RegionMemory(), tick(0), EcoPulse(DecideSettings()), DecideSettings())
    return made.model_copy(update={"state": pulse, "run": pulse is not Pulse.RED, **changes})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    ramp_w_per_minute=st.floats(1, 5_000),
    token_w=st.floats(5, 500),
    devices=st.integers(1, 200),
    taken_at=st.lists(st.floats(0, 1), min_size=200, max_size=200),
    windows=st.lists(st.tuples(st.floats(0, 3_600), st.floats(0, 3_600)), max_size=20),
)
def test_the_ramp_holds_in_every_window(tick, ramp_w_per_minute, token_w, devices, taken_at, windows):
    site = SiteBudget(ramp_w_per_minute=ramp_w_per_minute, budget_w=1e6, token_w=token_w)
    tokens = grant("s", site, state(tick), [PARKED] * devices, (), START, END)
    taken = [
        (token.not_before + (token.expires_at - token.not_before) * share - START).total_seconds()
        for token, share in zip(tokens, taken_at, strict=False)
    ]
    edges = [(second, second) for second in taken] + [(a, b) for a in taken for b in taken if a < b][:2_000]
    for begin, end in [*edges, *((min(w), max(w)) for w in windows)]:
        risen_w = sum(token.watts for token, second in zip(tokens, taken, strict=False) if begin <= second <= end)
        assert risen_w <= ramp_w_per_minute * (end - begin) / 60 + 2 * token_w + 1e-6


def test_tokens_do_not_overlap_and_are_jittered(tick):
    tokens = grant("s", SITE, state(tick), [PARKED] * 4, (), START, END)
    assert all(a.expires_at <= b.not_before for a, b in itertools.pairwise(tokens))
    jitter = {round((token.not_before - START).total_seconds() % SITE.slot_seconds, 3) for token in tokens}
    assert len(jitter) > len(tokens) / 2
    assert max(jitter) < SITE.slot_seconds / 2


def test_a_fast_replay_leaves_time_to_take_a_token(tick):
    """At an hour a second a slot of 30 s of event time would be over in 8 ms."""
    replayed = state(tick, replay=Replay(run="r", speed=3_600.0))
    for token in grant("s", SITE, replayed, [PARKED] * 4, (), START, END):
        assert (token.expires_at - token.not_before).total_seconds() / 3_600 >= 0.1


def test_the_same_slots_give_the_same_tokens(tick):
    assert grant("s", SITE, state(tick), [PARKED], (), START, END) == grant(
        "s", SITE, state(tick), [PARKED], (), START, END
    )


def test_adjoining_calls_share_no_slot(tick):
    half = START + timedelta(seconds=1_234.5)
    demand = [PARKED] * 1_000
    site = SITE.model_copy(update={"budget_w": 1e9})
    first = grant("s", site, state(tick), demand, (), START, half)
    second = grant("s", site, state(tick), demand, (), half, END)
    whole = grant("s", site, state(tick), demand, (), START, END)
    assert [token.slot for token in first + second] == [token.slot for token in whole]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(allowances=st.lists(st.floats(0, 250), max_size=10), budget_w=st.floats(1, 3_000), handed_out=st.integers(0, 10))
def test_the_budget_is_never_promised_twice(tick, allowances, budget_w, handed_out):
    site = SITE.model_copy(update={"budget_w": budget_w})
    before = grant("s", SITE, state(tick), [PARKED] * 3, (), START - timedelta(hours=1), START)[:handed_out]
    still_out = [token.model_copy(update={"expires_at": END}) for token in before]
    draws = [Draw(allowance_w=allowance, ceiling_w=250) for allowance in allowances]
    new = grant("s", site, state(tick), draws, still_out, START, END)
    promised_w = sum(allowances) + sum(token.watts for token in still_out + new)
    assert not new or promised_w <= budget_w


def test_nobody_who_wants_power_no_token(tick):
    assert grant("s", SITE, state(tick), [Draw(allowance_w=250, ceiling_w=250)], (), START, END) == []
    assert grant("s", SITE, state(tick), [], (), START, END) == []


def test_unknown_hands_out_nothing(tick):
    assert grant("s", SITE, state(tick, Pulse.UNKNOWN), [PARKED], (), START, END) == []
