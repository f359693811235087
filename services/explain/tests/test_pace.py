"""How often a model is asked about a region."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.explain.pace import Pace


def test_each_region_has_its_own_pace():
    pace = Pace(300.0)
    assert pace.allows("caiso", "a", 0.0)
    assert pace.allows("ercot", "b", 1.0)
    assert not pace.allows("caiso", "c", 299.9)
    assert pace.allows("caiso", "d", 300.0)


def test_one_that_was_asked_about_may_come_again():
    pace = Pace(300.0)
    assert pace.allows("caiso", "a", 0.0)
    assert pace.allows("caiso", "a", 1.0)
    assert not pace.allows("caiso", "b", 299.0)
    assert pace.allows("caiso", "b", 300.0)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 100)), max_size=30), st.floats(0, 200))
def test_two_transitions_are_never_closer_than_the_pace(coming, least):
    pace, clock, asked = Pace(least), 0.0, []
    for name, waited in coming:
        clock += waited
        if pace.allows("caiso", name, clock) and (not asked or asked[-1][0] != name):
            asked.append((name, clock))
    assert all(later - earlier >= least for (_, earlier), (_, later) in itertools.pairwise(asked))
