"""One signal's coming days: finite whatever it is told, better than a guess, and the same through a restart."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.decide.planning.errors import UnplannableError
from carbonshift.decide.planning.seasonal import Clock, Seasonal

HOURLY = Clock(step_seconds=3_600)
NODE = np.zeros(1)
NODES = np.array((-1.4, 0.0, 1.4))
MONDAY = 4 * 86_400  # the epoch began on a Thursday
HOUR = 3_600


def heard(values, clock=HOURLY, *, scale=60.0, scarcity=True, first=MONDAY):
    signal = Seasonal(clock, scale, scarcity=scarcity)
    for number, value in enumerate(values):
        signal.hear(first + number * clock.step_seconds, value)
    return signal


def daily(hours, level=50.0, swing=30.0):
    return level + swing * np.sin(2 * np.pi * np.arange(hours) / 24)


def test_a_day_like_every_other_is_expected_nearly_exactly():
    whole = daily(24 * 60)
    found = heard(whole[: 24 * 56]).expect(NODE)[:, 0]
    assert np.abs(found[:48] - whole[24 * 56 : 24 * 56 + 48]).max() < 1.0


@pytest.mark.parametrize("before", [20.0, 200.0])
def test_a_new_level_is_caught_up_with(before):
    values = np.concatenate((daily(24 * 28, before), daily(24 * 28)))
    assert heard(values, scarcity=False).expect(NODE)[:24, 0] == pytest.approx(daily(24), abs=12.0)


def test_weekends_are_expected_to_be_weekends():
    hours = np.arange(24 * 7 * 8)
    weekend = (hours // 24) % 7 >= 5
    values = np.where(weekend, 20.0, 60.0)
    friday_noon = 24 * 7 * 7 + 24 * 4 + 12
    found = heard(values[:friday_noon], scarcity=False).expect(NODE)[:, 0]
    assert found[14:34].mean() < 32.0
    assert found[:10].mean() > 48.0


def test_a_step_heard_again_changes_nothing():
    values = daily(24 * 20)
    once, twice = heard(values), heard(values)
    for number in (0, 100, len(values) - 1):
        twice.hear(MONDAY + number * HOUR, 1e6)
    assert once.expect(NODES).tolist() == twice.expect(NODES).tolist()


@given(again=st.lists(st.tuples(st.integers(0, 79), st.none() | st.floats(-1e6, 1e6)), max_size=30))
@settings(max_examples=8)
def test_steps_heard_again_in_between_change_nothing(again):
    """As when a stream hands out once more what has come already, at any time."""
    values = daily(80)
    whole, repeated = heard(values), Seasonal(HOURLY, 60.0, scarcity=True)
    for number, value in enumerate(values):
        repeated.hear(MONDAY + number * HOUR, value)
        for earlier, other in again:
            repeated.hear(MONDAY + min(earlier, number) * HOUR, other)
    assert repeated.to_bytes() == whole.to_bytes()


@pytest.mark.parametrize("step_seconds", [300, 3_600])
def test_a_step_left_out_is_one_that_is_missing(step_seconds):
    clock = Clock(step_seconds=step_seconds)
    values = daily(200)
    holed = [None if 90 <= number < 97 else value for number, value in enumerate(values)]
    told, left_out = heard(holed, clock), Seasonal(clock, 60.0, scarcity=True)
    for number, value in enumerate(holed):
        if value is not None:
            left_out.hear(MONDAY + number * step_seconds, value)
    assert left_out.to_bytes() == told.to_bytes()


def test_what_comes_after_a_gap_of_months_is_believed_at_once():
    signal = heard(daily(24 * 20, 900.0))
    signal.hear(MONDAY + 24 * 200 * HOUR, 40.0)
    assert signal.expect(NODE)[:, 0] == pytest.approx(40.0, abs=20.0)


@pytest.mark.parametrize("missing", [3, 200, 24 * 40])
def test_a_gap_in_time_is_bridged_by_what_is_usual(missing):
    values = daily(24 * 50)
    signal = heard(values)
    start = MONDAY + (len(values) + missing) * HOUR
    signal.hear(start, 50.0 + 30.0 * np.sin(2 * np.pi * (len(values) + missing) / 24))
    found = signal.expect(NODE)[:24, 0]
    assert signal.newest == start
    assert np.isfinite(found).all()
    assert found.min() > -20.0
    assert found.max() < 130.0


def test_a_value_that_is_not_known_leaves_the_expectation_of_a_rhythm_alone():
    values = [*daily(24 * 40)]
    holed = [None if 24 * 30 + 5 <= n < 24 * 30 + 9 else value for n, value in enumerate(values)]
    assert heard(holed).expect(NODE)[:, 0] == pytest.approx(heard(values).expect(NODE)[:, 0], abs=3.0)


@settings(max_examples=25)
@given(
    values=st.lists(st.none() | st.floats(-1e7, 1e7), min_size=1, max_size=200).filter(lambda v: v[0] is not None),
    step_seconds=st.sampled_from([3_600, 21_600, 900, 300]),
)
def test_whatever_is_told_it_stays_finite_and_dearer_nodes_are_not_cheaper(values, step_seconds):
    found = heard(values, Clock(step_seconds=step_seconds)).expect(NODES)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=1) >= -1e-9 * np.abs(found).max()).all()


@pytest.mark.parametrize("value", [0.0, -30.0, 5e4, 42.0])
@pytest.mark.parametrize("clock", [HOURLY, Clock(step_seconds=300)], ids=["hours", "five minutes"])
def test_a_signal_that_never_moves_is_expected_to_stay(value, clock):
    assert heard([value] * (24 * 30), clock).expect(NODE)[:, 0] == pytest.approx(value, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("clock", [HOURLY, Clock(step_seconds=900, time_zone="Europe/Berlin")])
def test_a_restart_leaves_no_trace(clock):
    random = np.random.default_rng(0)
    values = daily(clock.day * 25) + random.normal(0, 9, clock.day * 25)
    half = values.size // 2 + 7
    whole, before = heard(values, clock), heard(values[:half], clock)
    after = Seasonal(clock, 60.0, scarcity=True)
    after.restore(before.to_bytes())
    assert after.to_bytes() == before.to_bytes()
    for number in range(half, values.size):
        after.hear(MONDAY + number * clock.step_seconds, values[number])
    assert after.expect(NODES).tolist() == whole.expect(NODES).tolist()


def test_another_signal_is_not_restored():
    other = heard([1.0], Clock(step_seconds=900))
    with pytest.raises(ValueError, match="is not what this signal has"):
        Seasonal(HOURLY, 60.0, scarcity=True).restore(other.to_bytes())


def of_an_array():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def damaged(content):
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 9]) + content[middle + 9 :]


WHOLE = heard(daily(50)).to_bytes()


@pytest.mark.parametrize(
    "content",
    [b"", b"rubbish", of_an_array(), WHOLE[: len(WHOLE) // 2], WHOLE[10:], damaged(WHOLE)],
    ids=["nothing", "rubbish", "an array", "torn", "headless", "damaged"],
)
def test_what_is_no_signal_is_not_restored_and_leaves_the_signal_as_it_was(content):
    signal = heard(daily(60))
    before = signal.to_bytes()
    with pytest.raises(ValueError, match="is not"):
        signal.restore(content)
    assert signal.to_bytes() == before


def test_after_a_dear_day_waiting_has_a_premium_where_scarcity_is_to_be_feared():
    values = np.concatenate((daily(24 * 30), daily(24, 300.0)))
    feared, not_feared = (heard(values, scarcity=scarcity).expect(NODE)[:24, 0] for scarcity in (True, False))
    assert (feared > not_feared).all()


@pytest.mark.parametrize("step_seconds", [700, 100_000, 0, -300])
def test_steps_that_make_no_day_are_refused(step_seconds):
    with pytest.raises(UnplannableError, match="do not make a day"):
        Clock(step_seconds=step_seconds)


def test_beyond_the_last_stage_its_last_day_repeats_itself():
    clock = Clock(step_seconds=900)
    unrolled = clock.unrolled(clock.stages + 48)
    assert unrolled[: clock.stages].tolist() == list(range(clock.stages))
    assert unrolled[clock.stages : clock.stages + 24].tolist() == list(range(clock.stages - 24, clock.stages))
    assert unrolled[clock.stages + 24 :].tolist() == unrolled[clock.stages : clock.stages + 24].tolist()
