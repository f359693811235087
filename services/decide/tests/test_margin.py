"""The margin: none but the least for whoever keeps what was promised, more for whoever falls behind."""

from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.decide.planning.margin import LEAST_MARGIN_SECONDS, Margin

intervals = st.lists(st.tuples(st.floats(0, 3_600), st.floats(0, 7_200)), max_size=40)


@settings(max_examples=40)
@given(intervals=intervals, work_seconds=st.floats(0, 1e6))
def test_it_lies_between_the_least_and_twice_the_work(intervals, work_seconds):
    margin = Margin()
    for promised, done in intervals:
        margin = margin.after(promised, done)
    assert LEAST_MARGIN_SECONDS <= margin.seconds(work_seconds) <= LEAST_MARGIN_SECONDS + 2 * work_seconds


def test_whoever_keeps_promises_or_was_promised_nothing_needs_no_more():
    assert Margin().after(3_600, 3_600).after(3_600, 9_999).after(0, 0).seconds(1e5) == LEAST_MARGIN_SECONDS


def test_falling_behind_is_learnt_and_forgotten():
    late = Margin()
    for _ in range(10):
        late = late.after(3_600, 1_800)
    assert late.seconds(10_000) > 5_000
    for _ in range(30):
        late = late.after(3_600, 3_600)
    assert late.seconds(10_000) < 100


@settings(max_examples=40)
@given(intervals=intervals, promised=st.floats(1, 7_200), one=st.floats(0, 7_200), other=st.floats(0, 7_200))
def test_whoever_did_less_is_given_no_less(intervals, promised, one, other):
    margin = Margin()
    for pair in intervals:
        margin = margin.after(*pair)
    less, more = (margin.after(promised, done).seconds(1e4) for done in sorted((one, other)))
    assert less >= more


@settings(max_examples=40)
@given(intervals=intervals, done=st.floats(0, 7_200), promised=st.sampled_from([0.0, -1.0]))
def test_an_interval_for_which_nothing_was_promised_teaches_nothing(intervals, done, promised):
    """Parked, it was told to do nothing: what it did all the same is no merit, and doing nothing no fault."""
    margin = Margin()
    for pair in intervals:
        margin = margin.after(*pair)
    assert margin.after(promised, done) == margin


def test_the_less_is_left_the_less_is_kept_free():
    margin = Margin().after(3_600, 1_800)
    assert margin.seconds(0.0) == LEAST_MARGIN_SECONDS
    assert margin.seconds(1_000.0) < margin.seconds(2_000.0)


@settings(max_examples=40)
@given(share=st.floats(0.5, 1), work_seconds=st.floats(3_600, 1e6))
def test_whoever_always_does_the_same_share_is_given_what_it_lacks(share, work_seconds):
    """In time at its own pace: the work and the margin together last at least as long as the work does."""
    margin = Margin()
    for _ in range(60):
        margin = margin.after(3_600.0, share * 3_600.0)
    assert work_seconds + margin.seconds(work_seconds) >= work_seconds / share
