"""Which source tells: the first healthy one, left after two failures and returned to after three successes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.ingest.standing import Standing, first_healthy


def after(outcomes):
    standing = Standing()
    for outcome in outcomes:
        standing = standing.after(outcome)
    return standing


def test_one_failure_is_forgiven_and_one_success_does_not_bring_back():
    assert after([False]).healthy
    assert not after([False, False]).healthy
    assert not after([False, False, True, True]).healthy
    assert after([False, False, True, True, True]).healthy


@given(outcomes=st.lists(st.booleans(), max_size=60))
def test_it_changes_at_most_once_in_two_outcomes(outcomes):
    states = [after(outcomes[:n]).healthy for n in range(len(outcomes) + 1)]
    changes = sum(a is not b for a, b in pairwise(states))
    assert changes <= len(outcomes) // 2


def test_a_source_that_fails_every_other_time_is_never_left():
    assert after([True, False] * 50).healthy


def test_the_first_healthy_one_wins_and_the_first_where_none_is():
    well, ill = Standing(), after([False, False])
    assert first_healthy([well, well]) == 0
    assert first_healthy([ill, well]) == 1
    assert first_healthy([ill, ill]) == 0
