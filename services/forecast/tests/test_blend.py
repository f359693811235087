"""How several opinions become one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from carbonshift.forecast.blend import FIRST_SHARE, STEEPNESS, blended, weights
from carbonshift.forecast.opinion import CARBON, PRICE, SIGNALS, SPIKE
from carbonshift.forecast.record import BLEND, BLOCK_HOURS, COUNT, LOSS, REGRET, SUMS_SHAPE, Record

BLOCKS = len(BLOCK_HOURS) + 1
PLENTY = 1e12
HOUR = 3_600
PRIOR = pytest.approx([FIRST_SHARE, (1 - FIRST_SHARE) / 2, (1 - FIRST_SHARE) / 2])
amounts = st.just(0.0) | st.floats(1e-6, 1e4)


def evidence(lost=10.0, **regrets):
    """What the blend lost in each block, and each model more than it: of price, of carbon a hundred times as much."""
    sums = {BLEND: np.zeros(SUMS_SHAPE)}
    sums[BLEND][..., LOSS] = lost
    sums[BLEND][..., COUNT] = PLENTY
    sums[BLEND][SIGNALS.index(CARBON)] *= 100
    for model, regret in regrets.items():
        sums[model] = np.zeros(SUMS_SHAPE)
        sums[model][SIGNALS.index(PRICE), :, REGRET] = regret
    return Record(sums=sums)


def said(price, steps=4, spike=0.0):
    rows = np.array([[price - 1.0], [price], [price + 1.0]]) + np.zeros(steps)
    return {PRICE: rows, CARBON: rows + 100, SPIKE: np.full((1, steps), spike)}


def test_without_evidence_the_first_is_trusted_most():
    for record in (Record(), evidence()):
        for block in weights(record, ("a", "b", "c"), PRICE).T:
            assert block.tolist() == PRIOR


def test_who_is_alone_is_the_blend():
    assert weights(evidence(a=5.0), ("a",), PRICE).tolist() == [[1.0] * BLOCKS]
    opinion = said(30, spike=0.5)
    found = blended(evidence(a=5.0), {"a": opinion}, HOUR)
    for signal in SIGNALS:
        np.testing.assert_array_equal(found[signal], opinion[signal])


@settings(max_examples=50)
@given(
    lost=arrays(float, BLOCKS, elements=amounts),
    regrets=st.lists(arrays(float, BLOCKS, elements=st.floats(-1e4, 1e4)), min_size=1, max_size=4),
    signal=st.sampled_from(SIGNALS),
)
def test_weights_are_shares_in_every_block(lost, regrets, signal):
    models = tuple("abcd"[: len(regrets)])
    found = weights(evidence(lost, **dict(zip(models, regrets, strict=True))), models, signal)
    assert found.shape == (len(models), BLOCKS)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=0), 1.0)


@settings(max_examples=50)
@given(b=st.floats(-5, 5), c=st.floats(-5, 5))
def test_who_lost_less_gains(b, c):
    """A tenth of the blend's loss is a factor of e, whatever the unit."""
    found = weights(evidence(10.0, b=b, c=c), ("a", "b", "c"), PRICE)[:, 0]
    assert found[1] / found[2] == pytest.approx(np.exp(STEEPNESS * (c - b) / 10.0))
    in_cents = weights(evidence(1_000.0, b=100 * b, c=100 * c), ("a", "b", "c"), PRICE)[:, 0]
    np.testing.assert_allclose(in_cents, found)


def test_who_is_silent_stands_as_one_who_lost_what_the_blend_did():
    """Neither a model that was never heard of, nor two of them in relation to one another, gain or lose."""
    found = weights(evidence(10.0, bad=1.0), ("first", "bad", "second"), PRICE)[:, 0]
    before = weights(Record(), ("first", "bad", "second"), PRICE)[:, 0]
    assert found[0] / found[2] == pytest.approx(before[0] / before[2])
    assert found[0] / found[1] == pytest.approx(before[0] / before[1] * np.e)


def test_each_block_has_its_own_weights():
    regret = np.zeros(BLOCKS)
    regret[2] = 4.0
    found = weights(evidence(10.0, b=regret), ("a", "b"), PRICE)
    assert found[1].argmin() == 2
    np.testing.assert_allclose(np.delete(found[1], 2), 1 - FIRST_SHARE)


def test_a_block_without_evidence_knows_nothing_of_the_others():
    lost = np.zeros(BLOCKS)
    lost[1] = 10.0
    found = weights(evidence(lost, b=-1.0), ("a", "b", "c"), PRICE)
    assert found[1, 1] > 1 - FIRST_SHARE
    for block in (0, 2, BLOCKS - 1):
        assert found[:, block].tolist() == PRIOR


def test_little_evidence_moves_little():
    """A model that lost twice as much as the blend on a single step is not yet ruled out; on two hundred it is."""
    shares = []
    for steps in (1, 20, 200):
        record = evidence(1.0 * steps, b=1.0 * steps)
        record.sums[BLEND][..., COUNT] = steps
        shares.append(weights(record, ("a", "b"), PRICE)[1, 0] / (1 - FIRST_SHARE))
    assert shares[0] > 0.6
    assert shares[0] > 10 * shares[1] > 0
    assert shares[2] < 1e-3


def test_a_newcomer_hardly_speaks_until_it_has_earned_it():
    models = ("a", "b", "new")
    before = weights(Record(), models, PRICE, {"new"})[:, 0]
    assert before.tolist() == pytest.approx([0.99 * FIRST_SHARE, 0.99 * (1 - FIRST_SHARE), 0.01])
    after = weights(evidence(10.0, new=-5.0), models, PRICE, {"new"})[:, 0]
    assert after[2] > 0.5
    assert weights(Record(), ("new",), PRICE, {"new"})[:, 0].tolist() == [1.0]


def test_a_step_belongs_to_those_who_speak_of_it():
    half = {signal: rows.copy() for signal, rows in said(100.0).items()}
    for rows in half.values():
        rows[:, :2] = np.nan
    found = blended(Record(), {"a": said(0.0), "half": half}, HOUR)
    assert found[PRICE][1].tolist() == pytest.approx([0.0, 0.0, 30.0, 30.0])


def test_each_signal_has_its_own_weights_and_a_spike_those_of_the_price():
    record = evidence(10.0, b=3.0)
    np.testing.assert_array_equal(weights(record, ("a", "b"), SPIKE), weights(record, ("a", "b"), PRICE))
    assert weights(record, ("a", "b"), CARBON)[1, 0] == pytest.approx(1 - FIRST_SHARE)
    assert weights(record, ("a", "b"), PRICE)[1, 0] < 0.05


def test_one_that_lost_beyond_measure_leaves_all_to_the_others():
    np.testing.assert_allclose(weights(evidence(1e-9, b=1e9), ("a", "b"), PRICE)[0], 1.0)
    np.testing.assert_allclose(weights(evidence(1e-9, a=1e9), ("a", "b"), PRICE)[1], 1.0)


@settings(max_examples=50)
@given(
    levels=st.lists(st.floats(-500, 500), min_size=2, max_size=4),
    regrets=st.lists(st.floats(-20, 20), min_size=4, max_size=4),
    step_seconds=st.sampled_from([300, 900, HOUR]),
)
def test_what_is_said_together_lies_between_what_each_says(levels, regrets, step_seconds):
    models = "abcd"[: len(levels)]
    opinions = {model: said(level, 30, spike=abs(level) / 500) for model, level in zip(models, levels, strict=True)}
    record = evidence(10.0, **dict(zip(models, regrets, strict=False)))
    found = blended(record, opinions, step_seconds)
    for signal in SIGNALS:
        rows = np.stack([opinion[signal] for opinion in opinions.values()])
        assert found[signal].shape == rows.shape[1:]
        assert (found[signal] >= rows.min(axis=0) - 1e-9).all()
        assert (found[signal] <= rows.max(axis=0) + 1e-9).all()
    assert all((low <= high).all() for low, high in pairwise(found[PRICE]))


@pytest.mark.parametrize("step_seconds", [300, 900, HOUR])
def test_a_step_takes_the_weights_of_the_block_it_ends_in(step_seconds):
    regret = np.arange(BLOCKS) * 1.0
    record = evidence(10.0, b=regret)
    steps = 24 * HOUR // step_seconds
    found = blended(record, {"a": said(0, steps), "b": said(1, steps)}, step_seconds)[PRICE][1]
    of_block = weights(record, ("a", "b"), PRICE)[1]
    for step in range(steps):
        end = (step + 1) * step_seconds
        block = sum(end > hours * HOUR for hours in BLOCK_HOURS)
        assert found[step] == pytest.approx(of_block[block])


def test_of_each_signal_those_speak_who_have_something_to_say():
    """Shares are among them: a model of carbon alone takes nothing from the price."""
    carbon_only = {CARBON: said(900)[CARBON]}
    found = blended(Record(), {"a": said(10), "b": said(20), "provider": carbon_only}, HOUR)
    assert found[PRICE][1] == pytest.approx(FIRST_SHARE * 10 + (1 - FIRST_SHARE) * 20)
    share = (1 - FIRST_SHARE) / 2
    assert found[CARBON][1] == pytest.approx(FIRST_SHARE * 110 + share * 120 + share * 1_000)
