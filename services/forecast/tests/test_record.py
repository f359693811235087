"""The evidence: each step judged once, by what came, fading with time alone."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.forecast.forecaster import History
from carbonshift.forecast.opinion import CARBON, PRICE, SIGNALS, SPIKE
from carbonshift.forecast.record import (
    BLEND,
    BLOCK_HOURS,
    COUNT,
    COVERED,
    LOSS,
    MISSED,
    REGRET,
    Record,
    claim_of,
    learned,
)

START = int(datetime(2026, 3, 16, tzinfo=UTC).timestamp())
HOUR = 3_600
DAY = 24 * HOUR
QUARTER = 900
THRESHOLD = 18.0
NAN = np.nan


def came(price, carbon=None, step_seconds=HOUR, start=START):
    """A past that starts at `start`, with the origin behind its last value."""
    price = np.array(price, dtype=float)
    return History(
        origin=datetime.fromtimestamp(start + step_seconds * price.size, UTC),
        step_seconds=step_seconds,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=price + 100 if carbon is None else np.array(carbon, dtype=float),
    )


def said(*price, below=2.0, above=3.0, spike=0.25):
    middle = np.array(price, dtype=float)
    rows = np.stack((middle - below, middle, middle + above))
    return {PRICE: rows, CARBON: rows + 100, SPIKE: np.full((1, middle.size), spike)}


def record_of(opinions, *, origin=START, step_seconds=HOUR, known=0):
    return Record(as_of=origin, claims=(claim_of(opinions, origin, step_seconds, THRESHOLD, known),))


def field(record, model, signal, of):
    return record.sums[model][SIGNALS.index(signal), :, of]


def test_what_is_judged_is_a_lead_each_quarter_of_an_hour_and_each_hour_beyond_four():
    opinion = said(*range(12 * 24))
    leads = claim_of({BLEND: opinion}, START, 300, THRESHOLD, 0).leads
    assert leads.tolist() == [1, *range(3, 49, 3), *range(60, 289, 12)]


@pytest.mark.parametrize(
    ("step_seconds", "leads"), [(HOUR, range(1, 31)), (1_800, [*range(1, 9), *range(10, 31, 2)]), (5_400, range(1, 31))]
)
def test_of_longer_steps_each_is_judged_once(step_seconds, leads):
    found = claim_of({BLEND: said(*range(30))}, START, step_seconds, THRESHOLD, 0).leads.tolist()
    assert found == sorted(set(found))
    assert set(found) <= set(leads)
    assert found[0] == 1
    assert found[-1] == 30


def test_a_claim_holds_what_was_said_at_its_leads():
    opinion = said(*np.arange(48) / 10)
    claim = claim_of({BLEND: opinion}, START, 300, THRESHOLD, 0)
    at = claim.leads - 1
    np.testing.assert_array_equal(
        claim.said[BLEND], np.vstack([opinion[signal][:, at] for signal in (PRICE, CARBON, SPIKE)])
    )


def test_what_a_model_lost_is_counted_where_it_was_lost():
    """By hand: p10, p50 and p90 of 10, 12 and 15, and 20 came, which is a spike."""
    record = learned(record_of({BLEND: said(12, 12, 12)}), came([20, 12.5]))
    loss_of_20, loss_of_12_5 = (0.1 * 10 + 0.5 * 8 + 0.9 * 5) / 3, (0.1 * 2.5 + 0.5 * 0.5 + 0.1 * 2.5) / 3
    for signal in (PRICE, CARBON):
        assert field(record, BLEND, signal, LOSS)[:3] == pytest.approx([loss_of_20, loss_of_12_5, 0])
        assert field(record, BLEND, signal, MISSED)[:3] == pytest.approx([8, 0.5, 0])
        assert field(record, BLEND, signal, COVERED)[:3].tolist() == [0, 1, 0]
        assert field(record, BLEND, signal, COUNT)[:3].tolist() == [1, 1, 0]
    assert field(record, BLEND, SPIKE, LOSS)[:3] == pytest.approx([0.75**2, 0.25**2, 0])
    assert field(record, BLEND, SPIKE, COUNT)[:3].tolist() == [1, 1, 0]
    assert record.as_of == START + 2 * HOUR


def test_a_price_at_the_threshold_is_no_spike():
    record = learned(record_of({BLEND: said(12, spike=0.0)}), came([THRESHOLD]))
    assert field(record, BLEND, SPIKE, LOSS)[0] == 0


@pytest.mark.parametrize("price", [10.0, 15.0])
def test_the_edges_of_a_band_are_within_it(price):
    assert field(learned(record_of({BLEND: said(12)}), came([price])), BLEND, PRICE, COVERED)[0] == 1


def test_price_and_carbon_are_judged_by_their_own():
    record = learned(record_of({BLEND: said(12)}), came([12], [150]))
    assert field(record, BLEND, PRICE, MISSED)[0] == 0
    assert field(record, BLEND, CARBON, MISSED)[0] == 38


def test_a_lead_counts_in_the_block_that_it_ends_in():
    """An hour ahead is the end of the first block, a quarter later is in the second; the last has no end."""
    price = np.zeros(96)
    record = learned(record_of({BLEND: said(*price)}, step_seconds=QUARTER), came(price, step_seconds=QUARTER))
    assert field(record, BLEND, PRICE, COUNT) == pytest.approx([4, 4, 4, 4, 4, 8, 8])
    assert BLOCK_HOURS[-2:] == (8, 16)


def test_a_step_is_judged_by_the_interval_it_speaks_of():
    """From within a past that began long before and has gone on since."""
    price = np.arange(50.0)
    origin = START + 20 * HOUR
    record = learned(record_of({BLEND: said(*price[20:44])}, origin=origin), came(price))
    assert field(record, BLEND, PRICE, MISSED).sum() == 0
    assert field(record, BLEND, PRICE, COUNT).sum() == 24
    assert record.claims == ()


def test_a_step_is_not_judged_before_it_has_passed():
    record = record_of({BLEND: said(1, 2, 3)})
    assert learned(record, came([5.0], start=START - HOUR)).sums == {}
    for passed in (1, 2, 3):
        assert field(learned(record, came([5.0] * passed)), BLEND, PRICE, COUNT).sum() == passed


def test_regret_is_what_was_lost_more_than_the_blend():
    opinions = {"good": said(20), "bad": said(12), BLEND: said(16)}
    record = learned(record_of(opinions), came([20]))
    lost = {model: field(record, model, PRICE, LOSS)[0] for model in opinions}
    for model in opinions:
        assert field(record, model, PRICE, REGRET)[0] == pytest.approx(lost[model] - lost[BLEND])
    assert field(record, "good", PRICE, REGRET)[0] < 0 < field(record, "bad", PRICE, REGRET)[0]


def test_who_is_silent_is_not_judged():
    """Of a signal, or altogether until later: neither favoured nor punished."""
    opinions = {"carbon": {CARBON: said(12, 12)[CARBON]}, BLEND: said(12, 12)}
    record = learned(record_of(opinions), came([20, 20]))
    assert not record.sums["carbon"][[SIGNALS.index(PRICE), SIGNALS.index(SPIKE)]].any()
    assert field(record, "carbon", CARBON, COUNT).sum() == 2
    later = claim_of({"late": said(12), BLEND: said(12)}, record.as_of, HOUR, THRESHOLD, 0)
    record = learned(Record(as_of=record.as_of, sums=record.sums, claims=(later,)), came([20, 20, 20]))
    assert field(record, "late", PRICE, COUNT).sum() == 1
    assert field(record, BLEND, PRICE, COUNT).sum() == pytest.approx(3, rel=0.02)


def test_a_missing_value_judges_nobody_and_neither_does_it_once_it_comes():
    """Each step counts as it was first known: the record cannot tell which have been counted."""
    opinions = {"model": said(12, 12), BLEND: said(13, 13)}
    record = learned(record_of(opinions), came([NAN, 20], [112, NAN]))
    for model in opinions:
        assert field(record, model, PRICE, COUNT)[:2].tolist() == [0, 1]
        assert field(record, model, SPIKE, COUNT)[:2].tolist() == [0, 1]
        assert field(record, model, CARBON, COUNT)[:2].tolist() == [1, 0]
        assert np.isfinite(record.sums[model]).all()
        assert not record.sums[model][SIGNALS.index(PRICE), 0].any()
    again = learned(record, came([20, 20]))
    np.testing.assert_array_equal(again.sums["model"], record.sums["model"])


def test_a_price_that_was_published_was_foretold_by_nobody():
    opinions = {"model": said(12, 12, 12), BLEND: said(12, 12, 12)}
    record = learned(record_of(opinions, known=2), came([20, 20, 20]))
    for model in opinions:
        assert field(record, model, PRICE, COUNT)[:3].tolist() == [0, 0, 1]
        assert field(record, model, SPIKE, COUNT)[:3].tolist() == [0, 0, 1]
        assert field(record, model, CARBON, COUNT)[:3].tolist() == [1, 1, 1]


def test_what_lies_before_the_window_cannot_be_judged():
    record = learned(record_of({BLEND: said(1, 2, 3)}), came([30.0], start=START + 2 * HOUR))
    assert field(record, BLEND, PRICE, COUNT)[:3].tolist() == [0, 0, 1]
    assert field(record, BLEND, PRICE, MISSED)[2] == 27


def test_steps_of_another_length_or_phase_are_not_taken_for_those_meant():
    """The region's intervals are quarters now: what was said of hours is let go."""
    for origin, step_seconds in ((START, HOUR), (START + 450, QUARTER)):
        record = learned(
            record_of({BLEND: said(1, 2)}, origin=origin, step_seconds=step_seconds),
            came([5.0] * 2, step_seconds=QUARTER),
        )
        assert record.sums == {}
        assert record.claims == ()


def test_five_days_later_it_counts_half():
    before = learned(record_of({BLEND: said(12)}), came([20]))
    after = learned(before, came([20] + [NAN] * 120))
    np.testing.assert_allclose(after.sums[BLEND], before.sums[BLEND] / 2)


def test_an_older_past_takes_nothing_back():
    after = learned(record_of({BLEND: said(12, 12, 12)}), came([20, 20]))
    again = learned(after, came([20]))
    np.testing.assert_array_equal(again.sums[BLEND], after.sums[BLEND])
    assert again.as_of == after.as_of
    assert [claim.judged for claim in again.claims] == [2]


def test_a_claim_is_let_go_once_it_is_judged_to_its_end():
    record = record_of({BLEND: said(1, 2, 3)})
    second = claim_of({BLEND: said(1, 2, 3)}, START + HOUR, HOUR, THRESHOLD, 0)
    record = Record(as_of=START, claims=(*record.claims, second))
    judged = []
    for passed in range(1, 6):
        record = learned(record, came([5.0] * passed))
        judged.append([claim.judged for claim in record.claims])
    assert judged == [[1, 0], [2, 1], [2], [], []]
    assert field(record, BLEND, PRICE, COUNT).sum() == pytest.approx(6, rel=0.05)


def test_what_went_before_stays_as_it_was():
    """A record that was put aside must not learn behind its owner's back."""
    first = learned(record_of({BLEND: said(12, 12)}), came([20]))
    kept = first.sums[BLEND].copy()
    learned(first, came([20, 20]))
    np.testing.assert_array_equal(first.sums[BLEND], kept)


def scored(claim, model, now, earliest, price):
    """What `model` lost of the claim's price up to `now`, since `earliest`, one lead at a time."""
    total = 0.0
    for number, lead in enumerate(claim.leads):
        end = claim.origin + int(lead) * claim.step_seconds
        if earliest < end <= now:
            value = price[(end - START) // claim.step_seconds - 1]
            for level, quantile in zip((0.1, 0.5, 0.9), claim.said[model][:3, number], strict=True):
                total += max(level * (value - quantile), (level - 1) * (value - quantile)) / 3
    return total


@settings(max_examples=40)
@given(calls=st.sets(st.integers(1, 96), max_size=20), seed=st.integers(0, 99))
def test_each_step_is_judged_once_whatever_the_rhythm(calls, seed):
    """What has faded since depends on the moment a step was judged at, and on nothing else."""
    random = np.random.default_rng(seed)
    price = random.normal(20, 5, 96)
    claims = tuple(
        claim_of(
            {model: said(*random.normal(20, 5, 40)) for model in ("model", BLEND)},
            START + at * QUARTER,
            QUARTER,
            20.0,
            0,
        )
        for at in (0, 3, 17, 30)
    )
    record = Record(as_of=START, claims=claims)
    ends = sorted({*calls, 96})
    for end in ends:
        record = learned(record, came(price[:end], step_seconds=QUARTER))
    assert record.claims == ()
    times = [START, *(START + end * QUARTER for end in ends)]
    for model in ("model", BLEND):
        meant = sum(
            scored(claim, model, now, before, price) * 0.5 ** ((times[-1] - now) / (5 * DAY))
            for before, now in pairwise(times)
            for claim in claims
        )
        assert field(record, model, PRICE, LOSS).sum() == pytest.approx(meant)
    at_once = learned(Record(as_of=START, claims=claims), came(price, step_seconds=QUARTER))
    assert field(at_once, BLEND, CARBON, COUNT).sum() == sum(claim.leads.size for claim in claims)
