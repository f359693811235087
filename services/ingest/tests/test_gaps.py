"""Gaps: held for a while, on a line between observed ends, missing beyond; never without its flag."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from carbonshift.common.events import Quality
from carbonshift.ingest.cleaning.gaps import NEVER, QUALITIES, filled
from carbonshift.ingest.cleaning.series import Series

NAN = np.nan


def column(values, hold=0, longest=100, trusted=None, estimated=None):
    array = np.array(values, dtype=float)
    trusted = np.ones(array.size, dtype=bool) if trusted is None else np.array(trusted)
    estimated = np.zeros(array.size, dtype=bool) if estimated is None else np.array(estimated)
    return filled(Series(array, estimated), trusted, hold, longest)


def qualities(codes):
    return [QUALITIES[code].value[0] for code in codes]  # o, e, i, h, m


def test_the_last_value_is_held_and_then_missing():
    told = column([5.0, NAN, NAN, NAN], hold=2)
    assert qualities(told.first_quality) == ["o", "h", "h", "m"]
    assert told.first[:3].tolist() == [5.0, 5.0, 5.0]
    assert told.stale.tolist() == [False, False, False, True]


def test_a_closed_gap_is_on_its_line():
    told = column([1.0, NAN, NAN, NAN, 5.0], hold=1)
    assert told.final.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert qualities(told.final_quality) == ["o", "i", "i", "i", "o"]
    assert told.closed_at.tolist() == [NEVER, 4, 4, 4, NEVER]
    assert qualities(told.first_quality) == ["o", "h", "m", "m", "o"]  # as it was told before the end was known


def test_a_gap_that_is_too_long_stays_one():
    assert qualities(column([1.0, NAN, NAN, 4.0], longest=1).final_quality) == ["o", "m", "m", "o"]


def test_no_line_begins_before_the_first_value_or_goes_on_after_the_last():
    assert qualities(column([NAN, 1.0, NAN]).final_quality) == ["m", "o", "m"]
    assert column([NAN, NAN], hold=1).stale.all()


def test_a_doubted_value_is_no_end_of_a_line_and_is_not_held():
    told = column([1.0, NAN, 9_000.0, NAN, NAN], hold=1, trusted=[True, True, False, True, True])
    assert qualities(told.final_quality) == ["o", "h", "o", "m", "m"]


def test_an_estimate_is_no_end_of_a_line_but_may_be_held():
    told = column([1.0, NAN, NAN], hold=1, estimated=[True, False, False])
    assert qualities(told.final_quality) == ["e", "h", "m"]
    assert qualities(column([1.0, NAN, 3.0], estimated=[False, False, True]).final_quality) == ["o", "m", "e"]


@given(
    values=hnp.arrays(float, st.integers(1, 60), elements=st.floats(-100, 9_000) | st.just(NAN)),
    hold=st.integers(0, 6),
    longest=st.integers(0, 12),
    data=st.data(),
)
def test_nothing_is_invented_without_a_flag(values, hold, longest, data):
    trusted = np.array(data.draw(st.lists(st.booleans(), min_size=values.size, max_size=values.size)))
    told = column(values, hold, longest, trusted)
    observed = ~np.isnan(values)
    for quality, cells in ((told.first_quality, told.first), (told.final_quality, told.final)):
        names = [QUALITIES[code] for code in quality]
        assert [name is Quality.OBSERVED for name in names] == observed.tolist()
        np.testing.assert_array_equal(cells[observed], values[observed])
        assert [name is Quality.MISSING for name in names] == np.isnan(cells).tolist()
    for at in np.flatnonzero(~observed):
        name, value = QUALITIES[told.final_quality[at]], told.final[at]
        before = [n for n in range(at) if observed[n]]
        behind = [n for n in range(at, values.size) if observed[n]]
        if name is Quality.INTERPOLATED:
            ends = before[-1], behind[0]
            assert trusted[ends[0]]
            assert trusted[ends[1]]
            assert ends[1] - ends[0] - 1 <= longest
            low, high = sorted((values[ends[0]], values[ends[1]]))
            assert low - 1e-6 <= value <= high + 1e-6
        if name is Quality.HELD:
            last = max(n for n in before if trusted[n])
            assert at - last <= hold
            assert value == values[last]


@given(values=hnp.arrays(float, st.integers(2, 40), elements=st.floats(0, 100) | st.just(NAN)), cut=st.integers(1, 39))
def test_what_is_told_first_does_not_depend_on_what_comes_after(values, cut):
    cut = min(cut, values.size)
    whole, part = column(values, 3, 5), column(values[:cut], 3, 5)
    np.testing.assert_array_equal(whole.first[:cut], part.first)
    np.testing.assert_array_equal(whole.first_quality[:cut], part.first_quality)
    np.testing.assert_array_equal(whole.stale[:cut], part.stale)
