"""How deep to park: pure."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.gpu_worker.parking import Tier, TierCost, break_even_seconds, gain_j, tier_for

COSTS = {
    Tier.LOW_CLOCKS: TierCost(transition_seconds=0.1, saves_w=20.0),
    Tier.OFFLOAD: TierCost(transition_seconds=4.0, saves_w=20.0, frees_memory=True),
    Tier.CHECKPOINT: TierCost(transition_seconds=120.0, saves_w=50.0, frees_memory=True),
}
RUNNING_W = 300.0
FREEING_SHARE = 0.05

costs = st.builds(
    TierCost,
    transition_seconds=st.floats(0.0, 1e4),
    saves_w=st.floats(-100.0, 100.0),
    frees_memory=st.booleans(),
)
tiers = st.dictionaries(st.sampled_from([tier for tier in Tier if tier is not Tier.HOLD]), costs)
allowances = st.sets(st.sampled_from(Tier), min_size=1)
seconds = st.floats(0.0, 1e6)


def tier(expected_seconds, allowed=tuple(Tier), costs=COSTS, waited_seconds=0.0):
    return tier_for(
        costs,
        allowed,
        expected_seconds=expected_seconds,
        waited_seconds=waited_seconds,
        running_w=RUNNING_W,
        freeing_share=FREEING_SHARE,
    )


def test_what_a_transition_costs_has_to_be_saved_first():
    assert break_even_seconds(COSTS[Tier.LOW_CLOCKS], RUNNING_W, FREEING_SHARE) == pytest.approx(1.5)
    assert break_even_seconds(COSTS[Tier.CHECKPOINT], RUNNING_W, FREEING_SHARE) == pytest.approx(720.0)
    assert break_even_seconds(TierCost(transition_seconds=1.0, saves_w=-3.0), RUNNING_W, FREEING_SHARE) == math.inf


def test_the_longer_the_wait_the_more_a_tier_may_cost():
    """Beside low clocks leaving pays late; offloading, which saves no more than they do, is for its memory."""
    without = {tier: cost for tier, cost in COSTS.items() if tier is not Tier.OFFLOAD}
    energy = {tier: replace(cost, frees_memory=False) for tier, cost in without.items()}
    assert [tier(wait, costs=energy) for wait in (1.0, 2.0, 1_198.0, 1_200.0)] == [
        Tier.HOLD,
        Tier.LOW_CLOCKS,
        Tier.LOW_CLOCKS,
        Tier.CHECKPOINT,
    ]
    assert [tier(wait) for wait in (79.0, 80.0, 2_399.0, 2_400.0)] == [
        Tier.LOW_CLOCKS,
        Tier.OFFLOAD,
        Tier.OFFLOAD,
        Tier.CHECKPOINT,
    ]


def test_a_wait_of_unknown_length_sinks_as_it_lasts():
    assert [tier(None, waited_seconds=waited) for waited in (0.0, 80.0, 2_400.0)] == [
        Tier.HOLD,
        Tier.OFFLOAD,
        Tier.CHECKPOINT,
    ]


def test_one_tier_alone_is_taken_whatever_the_wait_where_it_can_be_reached():
    assert tier(0.0, allowed=[Tier.OFFLOAD]) is Tier.OFFLOAD
    assert tier(1e9, allowed=[Tier.OFFLOAD], costs={}) is Tier.HOLD
    assert tier(1e9, allowed=[Tier.HOLD]) is Tier.HOLD


@given(costs=tiers, allowed=allowances, wait=seconds)
def test_it_is_allowed_and_reachable_and_none_that_frees_as_much_saves_more(costs, allowed, wait):
    chosen = tier(wait, allowed, costs)
    reachable = [one for one in allowed if one in costs or one is Tier.HOLD]
    assert chosen in reachable or (chosen is Tier.HOLD and not reachable)
    costs = {Tier.HOLD: TierCost(transition_seconds=0.0), **costs}
    frees = {one for one in reachable if costs[one].frees_memory}
    if Tier.HOLD in allowed and chosen not in frees:
        gains = [gain_j(costs[one], wait, RUNNING_W) for one in reachable if one not in frees]
        assert gain_j(costs[chosen], wait, RUNNING_W) >= max(gains) - 1e-6


@given(costs=tiers, allowed=allowances, waited=seconds)
def test_without_knowing_the_end_no_transition_is_spent_on_a_wait_shorter_than_its_worth(costs, allowed, waited):
    """By energy: when a tier is taken, holding on till then has cost no less than its transition."""
    chosen = tier(None, {*allowed, Tier.HOLD}, costs, waited_seconds=waited)
    if chosen is not Tier.HOLD and not costs[chosen].frees_memory:
        assert costs[chosen].saves_w * waited >= costs[chosen].transition_seconds * RUNNING_W * (1 - 1e-9)
