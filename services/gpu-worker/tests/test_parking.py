"""How deep to park: pure."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.gpu_worker.parking import Tier, TierCost, break_even_seconds, tier_for

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


def test_the_longer_the_wait_the_deeper():
    assert [tier(wait) for wait in (1.0, 2.0, 59.0, 60.0, 719.0, 720.0)] == [
        Tier.HOLD,
        Tier.LOW_CLOCKS,
        Tier.LOW_CLOCKS,
        Tier.OFFLOAD,
        Tier.OFFLOAD,
        Tier.CHECKPOINT,
    ]


def test_a_wait_of_unknown_length_sinks_as_it_lasts():
    assert [tier(None, waited_seconds=waited) for waited in (0.0, 60.0, 720.0)] == [
        Tier.HOLD,
        Tier.OFFLOAD,
        Tier.CHECKPOINT,
    ]


def test_one_tier_alone_is_taken_whatever_the_wait_where_it_can_be_reached():
    assert tier(0.0, allowed=[Tier.OFFLOAD]) is Tier.OFFLOAD
    assert tier(1e9, allowed=[Tier.OFFLOAD], costs={}) is Tier.HOLD
    assert tier(1e9, allowed=[Tier.HOLD]) is Tier.HOLD


@given(costs=tiers, allowed=allowances, shorter=seconds, longer=seconds)
def test_it_is_allowed_reachable_and_never_shallower_for_a_longer_wait(costs, allowed, shorter, longer):
    shorter, longer = sorted((shorter, longer))
    chosen = [tier(wait, allowed, costs) for wait in (shorter, longer)]
    assert all((one in allowed and (one in costs or one is Tier.HOLD)) or not allowed & costs.keys() for one in chosen)
    assert chosen[0].depth <= chosen[1].depth


@given(costs=tiers, allowed=allowances, waited=seconds)
def test_without_knowing_the_end_no_transition_is_spent_on_a_wait_shorter_than_its_worth(costs, allowed, waited):
    """By energy: when a tier is taken, holding on till then has cost no less than its transition."""
    chosen = tier(None, {*allowed, Tier.HOLD}, costs, waited_seconds=waited)
    if chosen is not Tier.HOLD and not costs[chosen].frees_memory:
        assert costs[chosen].saves_w * waited >= costs[chosen].transition_seconds * RUNNING_W * (1 - 1e-9)
