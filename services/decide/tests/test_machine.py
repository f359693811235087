"""Eco-Pulse step by step: hard limits, trust, hysteresis, dwell, epochs; and what a redelivery must not do."""

import itertools
import math
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.events import PriceMarket, Pulse, Quality, Replay
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.settings import DecideSettings

SETTINGS = DecideSettings(warm_up_seconds=3_000, dwell_seconds=900, window_seconds=30_000)
WAVE = [(30 + 20 * math.sin(n / 8), 300 + 150 * math.sin(n / 8)) for n in range(100)]


def run(ticks, memory=None, decide_settings=SETTINGS):
    memory, states, transitions = memory or RegionMemory(), [], []
    for one in ticks:
        memory, transition, state = step(memory, one, EcoPulse(decide_settings), decide_settings)
        states += [state] if state else []
        transitions += [transition] if transition else []
    return memory, states, transitions


@pytest.fixture
def warm(tick):
    """A memory with a hundred ordinary intervals behind it, and the number of the next."""
    memory, _, _ = run(tick(n, *pair) for n, pair in enumerate(WAVE))
    return memory, len(WAVE)


def after(warm, tick, *pairs):
    memory, number = warm
    return run((tick(number + n, *pair) for n, pair in enumerate(pairs)), memory)[1]


def test_a_cheap_clean_hour_is_green_and_a_dear_dirty_one_red(warm, tick):
    assert [s.state for s in after(warm, tick, *[(5.0, 100.0)] * 4)][-1] is Pulse.GREEN
    red = after(warm, tick, *[(60.0, 500.0)] * 4)[-1]
    assert (red.state, red.run, red.power_limit_w, red.reasons) == (Pulse.RED, False, 100.0, ("score_high",))


def test_between_them_it_throttles_and_runs(warm, tick):
    amber = after(warm, tick, *[(30.0, 300.0)] * 5)[-1]
    assert (amber.state, amber.run, amber.power_limit_w, amber.power_fraction) == (Pulse.AMBER, True, 175.0, 0.5)


def test_a_hard_limit_does_not_wait_for_the_dwell(warm, tick):
    states = after(warm, tick, (5.0, 100.0), (5.0, 100.0), (5.0, 100.0), (5.0, 100.0), (250.0, 100.0))
    assert [s.state for s in states[-2:]] == [Pulse.GREEN, Pulse.RED]
    assert states[-1].reasons == ("price_critical",)


def test_one_dear_and_dirty_interval_does_not_end_a_dwell(warm, tick):
    states = after(warm, tick, *[(5.0, 100.0)] * 3, (49.0, 449.0))
    assert states[-1].state is Pulse.GREEN
    assert states[-1].reasons[0] == "dwell"


@pytest.mark.parametrize(
    ("price", "carbon", "reason"),
    [(None, 100.0, "price_missing"), (5.0, None, "carbon_missing"), (None, None, "price_missing")],
)
def test_a_missing_value_is_never_green_and_holds_the_setpoint(warm, tick, price, carbon, reason):
    states = after(warm, tick, *[(60.0, 500.0)] * 4, (price, carbon))
    assert (states[-1].state, states[-1].reasons[0]) == (Pulse.UNKNOWN, reason)
    assert (states[-1].run, states[-1].power_limit_w) == (states[-2].run, states[-2].power_limit_w) == (False, 100.0)
    assert states[-1].score is None


def test_green_does_not_begin_on_a_value_that_is_held_but_goes_on_over_one(warm, tick):
    memory, number = warm
    ticks = [tick(number + n, 5.0, 100.0, carbon_quality=Quality.HELD) for n in range(6)]
    _, states, _ = run(ticks, memory)
    assert {s.state for s in states} == {Pulse.AMBER}
    assert states[-1].reasons[0] == "signal_held"
    observed = [tick(number + n, 5.0, 100.0) for n in range(6)]
    _, states, _ = run(
        [*observed, *(tick(number + 6 + n, 5.0, 100.0, carbon_quality=Quality.HELD) for n in range(3))], memory
    )
    assert [s.state for s in states[-4:]] == [Pulse.GREEN] * 4


def test_a_price_that_is_spoken_against_is_not_critical(warm, tick):
    memory, number = warm
    _, states, _ = run([tick(number, 5_000.0, 100.0, issues=("price_unit_jump",))], memory)
    assert states[0].state is Pulse.UNKNOWN
    _, states, _ = run([tick(number, 5_000.0, 100.0, issues=("carbon_flat",))], memory)
    assert states[0].state is Pulse.RED


def test_a_few_values_of_another_market_are_no_past_to_judge_by(warm, tick):
    """Two of them make a norm, by which the lower one is the cheapest there ever was."""
    memory, number = warm
    ticks = [tick(number + n, 180.0 - 0.1 * n, price_market=PriceMarket.DAY_AHEAD) for n in range(4)]
    _, states, _ = run(ticks, memory)
    assert [state.state for state in states] == [Pulse.AMBER] * 4
    assert {state.reasons for state in states} == {("warming_up",)}


def test_a_few_values_after_a_long_silence_are_none_either(warm, tick):
    memory, number = warm
    silent = [tick(number + n, None) for n in range(110)]
    again = [tick(number + 110 + n, 40.0 - n) for n in range(4)]
    _, states, _ = run(silent + again, memory)
    assert [state.state for state in states[-4:]] == [Pulse.AMBER] * 4


def test_the_lease_counts_from_when_the_source_was_read(warm, tick):
    memory, number = warm
    late = tick(number, observed_at=tick(number).interval_end + timedelta(seconds=900))
    _, states, _ = run([late], memory)
    assert states[0].valid_until == late.observed_at + timedelta(seconds=600)


def test_a_flagged_tick_is_unknown(warm, tick):
    memory, number = warm
    _, states, _ = run([tick(number, 5.0, 100.0, issues=("unit_jump",))], memory)
    assert (states[0].state, states[0].reasons) == (Pulse.UNKNOWN, ("tick_flagged", "unit_jump"))


def test_a_hard_limit_counts_even_where_the_other_signal_is_missing(warm, tick):
    assert after(warm, tick, (500.0, None))[-1].state is Pulse.RED


def test_without_a_past_there_is_no_score_but_the_hard_limits_hold(tick):
    _, states, transitions = run([tick(0, 5.0, 100.0), tick(1, 500.0, 100.0)])
    assert [(s.state, s.reasons, s.score) for s in states] == [
        (Pulse.AMBER, ("warming_up",), None),
        (Pulse.RED, ("price_critical",), None),
    ]
    assert [t.previous for t in transitions] == [None, Pulse.AMBER]


def test_a_signal_that_never_moves_is_not_trusted(tick):
    _, states, _ = run(tick(n, 30.0, 300.0) for n in range(20))
    assert (states[-1].state, states[-1].reasons) == (Pulse.UNKNOWN, ("signal_flat",))


def test_an_epoch_lasts_until_red_and_a_new_one_begins_after_it(warm, tick):
    states = after(warm, tick, *[(5.0, 100.0)] * 4, *[(250.0, 500.0)] * 4, *[(5.0, 100.0)] * 4)
    epochs = {s.epoch for s in states if s.run}
    assert len(epochs) == 2
    first_after_red = next(s for before, s in itertools.pairwise(states) if not before.run and s.run)
    assert first_after_red.epoch == max(epochs) == int(first_after_red.interval_start.timestamp())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    pairs=st.lists(st.tuples(st.none() | st.floats(-50, 300), st.none() | st.floats(0, 900)), min_size=1, max_size=60)
)
def test_whatever_comes_the_rules_hold(tick, pairs):
    """No GREEN without both values, RED never runs, each tick has one state, and each change one transition."""
    _, states, transitions = run(tick(n, *pair) for n, pair in enumerate([*WAVE[:20], *pairs]))
    assert len(states) == 20 + len(pairs)
    for (price, carbon), state in zip(pairs, states[20:], strict=True):
        assert state.state is not Pulse.GREEN or (price is not None and carbon is not None)
        assert state.state is not Pulse.RED or not state.run
        assert state.since <= state.interval_start < state.valid_until
    changes = [new for old, new in zip([None, *states], states, strict=False) if old is None or old.state != new.state]
    assert [t.state for t in transitions] == changes


def test_a_redelivered_tick_decides_nothing(warm, tick):
    memory, number = warm
    memory, _, first = step(memory, tick(number, 5.0, 100.0), EcoPulse(SETTINGS), SETTINGS)
    again, transition, state = step(memory, tick(number, 5.0, 100.0), EcoPulse(SETTINGS), SETTINGS)
    assert (transition, state) == (None, None)
    assert again.state is first
    assert again.history.prices_usd_per_mwh.tolist() == memory.history.prices_usd_per_mwh.tolist()


def test_a_late_correction_changes_the_past_but_no_decision(warm, tick):
    memory, number = warm
    changed, _, state = step(memory, tick(number - 3, 99.0, 99.0, revision=1), EcoPulse(SETTINGS), SETTINGS)
    assert state is None
    assert changed.history.prices_usd_per_mwh[-3] == 99.0


def test_a_replay_keeps_its_past_when_its_speed_changes(tick):
    ticks = [tick(n, *pair, replay=Replay(run="a")) for n, pair in enumerate(WAVE)]
    _, states, _ = run([*ticks, tick(len(WAVE), 5.0, 100.0, replay=Replay(run="a", speed=60.0))])
    assert states[-1].score is not None


def test_a_transition_carries_what_explains_it(warm, tick):
    memory, number = warm
    _, _, (transition,) = run([tick(number, 250.0, 310.0)], memory)
    facts = transition.facts
    assert (facts.price_usd_per_mwh, facts.thresholds["critical_price_usd_per_mwh"]) == (250.0, 200.0)
    assert facts.recent_prices_usd_per_mwh[-1] == 250.0
    assert facts.recent_interval_starts[-1] == transition.time
    assert facts.price_low_usd_per_mwh < facts.price_high_usd_per_mwh
    assert transition.previous_since <= transition.time - timedelta(seconds=300)


def test_negative_prices_are_the_cheapest_there_are(warm, tick):
    """And where all are negative, the less negative ones are the dear ones."""
    assert [s.state for s in after(warm, tick, *[(-60.0, 100.0)] * 4)][-1] is Pulse.GREEN
    surplus = [(price - 100, carbon) for price, carbon in WAVE]
    memory, _, _ = run(tick(n, *pair) for n, pair in enumerate(surplus))
    states = after((memory, len(WAVE)), tick, *[(-95.0, 100.0)] * 4, *[(-40.0, 500.0)] * 4)
    assert [states[3].state, states[-1].state] == [Pulse.GREEN, Pulse.RED]


@pytest.mark.parametrize(
    ("pair", "state", "reasons", "run_at_w"),
    [
        ((5.0, 100.0), Pulse.AMBER, ("warming_up",), (True, 175.0)),
        ((500.0, 100.0), Pulse.RED, ("price_critical",), (False, 100.0)),
        ((None, None), Pulse.UNKNOWN, ("price_missing", "carbon_missing"), (True, 100.0)),
    ],
)
def test_a_tape_of_one_tick(tick, pair, state, reasons, run_at_w):
    """Nothing is held yet: training may go on, under the lowest limit."""
    _, states, transitions = run([tick(0, *pair)])
    assert [(s.state, s.reasons, s.score, (s.run, s.power_limit_w)) for s in states] == [
        (state, reasons, None, run_at_w)
    ]
    assert (states[0].since, states[0].epoch) == (states[0].interval_start, int(states[0].interval_start.timestamp()))
    assert [t.previous for t in transitions] == [None]


def test_a_tape_that_begins_with_missing_values_warms_up_once_they_come(tick):
    """The span of the warm-up passes without a value: a few have no past to be placed in."""
    missing = [tick(n, None, 300.0 + n) for n in range(20)]
    _, states, _ = run([*missing, *(tick(20 + n, 30.0 + n, 300.0) for n in range(5))])
    assert {s.state for s in states[:20]} == {Pulse.UNKNOWN}
    assert {(s.state, s.reasons) for s in states[20:24]} == {(Pulse.AMBER, ("warming_up",))}
    assert states[24].score is not None


def test_after_a_gap_longer_than_the_window_it_warms_up_again(warm, tick):
    memory, number = warm
    _, states, _ = run([tick(number + 200, 5.0, 100.0)], memory)
    assert (states[0].state, states[0].reasons) == (Pulse.AMBER, ("warming_up",))


def test_a_gap_leaves_the_norms_to_the_values_that_are_there(warm, tick):
    """What is missing is no zero and no copy of the value before."""
    memory, number = warm
    gap = [tick(number + n, None, None) for n in range(5)]
    with_gap, _, _ = run(gap, memory)
    _, (whole,), _ = run([tick(number + 5, 35.0, 320.0)], memory)
    _, (after_gap,), _ = run([tick(number + 5, 35.0, 320.0)], with_gap)
    assert (after_gap.price_norm, after_gap.carbon_norm) == (whole.price_norm, whole.carbon_norm)


def test_values_too_large_to_compare_are_unknown_and_one_alone_is_critical(tick):
    """Their distance is no float: it must neither raise nor come out as a score."""
    pairs = [(-1e308, 300.0 + n) if n % 2 else (1e308, 300.0 + n) for n in range(20)]
    _, states, _ = run([*(tick(n, *pair) for n, pair in enumerate(pairs)), tick(20, 0.0, 300.0)])
    assert (states[-1].state, states[-1].reasons) == (Pulse.UNKNOWN, ("signal_flat",))
    assert (states[-3].state, states[-3].reasons) == (Pulse.RED, ("price_critical",))


def test_one_huge_value_among_ordinary_ones_has_norm_one(warm, tick):
    state = after(warm, tick, (1e308, 300.0))[-1]
    assert (state.state, state.price_norm) == (Pulse.RED, 1.0)
