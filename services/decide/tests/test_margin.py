"""The margin: none but the least for whoever keeps what was promised, more for whoever falls behind."""

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.decide.planning.margin import LEAST_MARGIN_SECONDS, Margin

intervals = st.lists(st.tuples(st.floats(0, 3_600), st.floats(0, 7_200)), max_size=40)


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
