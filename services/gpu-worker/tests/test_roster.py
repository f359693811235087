"""Hosts that come, go, fall silent and change their minds: all that have heard the same judge the same."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.gpu_worker.roster import Presence, Roster

LEASE_SECONDS = 10.0


def presence(host, *ranks, size=2, **more):
    return Presence(host=host, worker=f"worker-{host}", world_size=size, ranks=ranks, **more)


hosts = st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=4)


@given(ranks=hosts, size=st.integers(1, 6), data=st.data())
def test_the_judgement_is_the_same_everywhere_and_in_whatever_order_it_was_heard(ranks, size, data):
    said = [presence(str(n), *sorted(some), size=size, wants=data.draw(st.booleans())) for n, some in enumerate(ranks)]
    rosters = []
    for mine in said:
        roster = Roster(mine, LEASE_SECONDS)
        for other in data.draw(st.permutations(said)):
            roster.hear(other, 0.0)
        rosters.append(roster)
    everywhere = sorted(rank for some in ranks for rank in some)
    for roster in rosters:
        assert (roster.problem is None) == (everywhere == list(range(size)))
        assert roster.wanted == any(one.wants for one in said)
    leaders = {roster.leader for roster in rosters}
    assert leaders == (
        {str(next(n for n, some in enumerate(ranks) if 0 in some))} if not rosters[0].problem else {None}
    )


@given(data=st.data())
def test_at_most_one_host_believes_that_it_leads_whatever_is_heard_late_or_never(data):
    """Ranks do not move here; what a host has heard of the others is any part of it."""
    size = data.draw(st.integers(1, 5))
    owner = data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    said = [presence(str(n), *(r for r in range(size) if owner[r] == n), size=size) for n in range(3)]
    leading = []
    for mine in said:
        roster = Roster(mine, LEASE_SECONDS)
        heard = data.draw(st.lists(st.sampled_from(said), max_size=4))
        for other in heard:
            roster.hear(other, 0.0)
        if roster.leader == mine.host:
            leading.append(mine.host)
            assert {rank for one in (mine, *heard) for rank in one.ranks} == set(range(size))
    assert len(leading) <= 1


@given(changes=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
def test_it_is_held_for_as_long_as_any_host_wants_it(changes):
    mine = presence("0", 0, size=3)
    roster, wants = Roster(mine, LEASE_SECONDS), dict.fromkeys("012", False)
    for n, wanted in changes:
        wants[str(n)] = wanted
        if n == 0:
            roster.mine = replace(mine, wants=wanted)
        else:
            roster.hear(presence(str(n), n, size=3, wants=wanted), 0.0)
        assert roster.wanted == any(wants.values())


def test_a_host_that_leaves_or_is_silent_for_a_lease_is_missed():
    roster = Roster(presence("a", 0), LEASE_SECONDS)
    assert roster.problem == "of its 2 processes ranks 1 are not heard of"
    assert roster.hear(presence("b", 1), 0.0)
    assert not roster.hear(presence("b", 1, wants=True, asks_seconds=3.0), 5.0)
    assert (roster.problem, roster.leader, roster.wanted, roster.asked_seconds) == (None, "a", True, 3.0)
    roster.forget_silent(14.9)
    assert roster.leader == "a"
    roster.forget_silent(15.0)
    assert (roster.leader, roster.wanted, roster.asked_seconds) == (None, False, None)
    roster.hear(presence("b", 1), 16.0)
    roster.hear(presence("b"), 17.0)
    assert roster.problem


@pytest.mark.parametrize(
    ("ranks", "problem"),
    [
        ((0,), "rank 0 is claimed 2 times, by worker-a, worker-b"),
        ((1, 1), "rank 1 is claimed 2 times, by worker-b"),
        ((1, 2), "rank 2 is none of 2"),
    ],
)
def test_ranks_that_make_no_sense_are_said_plainly(ranks, problem):
    roster = Roster(presence("a", 0), LEASE_SECONDS)
    roster.hear(presence("b", *ranks), 0.0)
    assert (roster.problem, roster.leader) == (problem, None)


def test_another_size_is_another_job():
    roster = Roster(presence("a", 0), LEASE_SECONDS)
    roster.hear(presence("b", 1), 0.0)
    roster.hear(presence("c", 0, 1, size=3, wants=True), 0.0)
    assert (roster.problem, roster.wanted) == (None, False)
