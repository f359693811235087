"""A record outlives its service: as bytes and back it is the same."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.forecast.forecaster import History
from carbonshift.forecast.opinion import CARBON, PRICE, SPIKE
from carbonshift.forecast.record import BLEND, Record, claim_of, learned
from carbonshift.forecast.stored_record import from_bytes, to_bytes

START = int(datetime(2026, 3, 16, tzinfo=UTC).timestamp())
QUARTER = 900


def said(random, steps):
    middle = random.normal(30, 10, steps)
    rows = np.stack((middle - 4, middle, middle + 4))
    return {PRICE: rows, CARBON: rows + 300, SPIKE: random.random((1, steps))}


def came(price):
    return History(
        origin=datetime.fromtimestamp(START + QUARTER * price.size, UTC),
        step_seconds=QUARTER,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=price + 300,
    )


def made(seed=0, models=("direct", "seasonal-naive", BLEND), claims=3):
    """A record in the middle of its work: claims judged in part, of models that speak of all or of some."""
    random = np.random.default_rng(seed)
    opinions = [{model: said(random, 40) for model in models} for _ in range(claims)]
    for number, opinion in enumerate(opinions):
        opinion["provider"] = {CARBON: opinion[BLEND][CARBON] + number}
    whole = tuple(
        claim_of(opinion, START + number * QUARTER, QUARTER, 35.25, number) for number, opinion in enumerate(opinions)
    )
    return learned(Record(as_of=START, claims=whole), came(random.normal(30, 10, 20)))


def same(found, record):
    assert found.as_of == record.as_of
    assert found.sums.keys() == record.sums.keys()
    for model, sums in record.sums.items():
        np.testing.assert_array_equal(found.sums[model], sums)
    assert len(found.claims) == len(record.claims)
    for one, other in zip(found.claims, record.claims, strict=True):
        assert (one.origin, one.step_seconds, one.judged) == (other.origin, other.step_seconds, other.judged)
        assert one.spike_threshold_usd_per_mwh == other.spike_threshold_usd_per_mwh
        np.testing.assert_array_equal(one.leads, other.leads)
        assert one.said.keys() == other.said.keys()
        for model, rows in other.said.items():
            np.testing.assert_allclose(one.said[model], rows, rtol=1e-6)


@pytest.mark.parametrize("claims", [1, 3, 12])
def test_what_is_read_is_what_was_written(claims):
    """With a dozen claims too, of which the eleventh is no part of the second."""
    record = made(claims=claims)
    assert record.claims
    assert record.claims[0].judged > 0
    same(from_bytes(to_bytes(record)), record)


def test_of_an_empty_one_too():
    same(from_bytes(to_bytes(Record())), Record())


@pytest.mark.parametrize("name", ["head", "leads", "said", "as_of", "0", "file", "gpt-4.1"])
def test_a_model_may_be_called_what_it_likes(name):
    record = made(models=(name, BLEND))
    same(from_bytes(to_bytes(record)), record)


def test_what_is_read_goes_on_as_what_was_written():
    record = made()
    price = np.random.default_rng(9).normal(30, 10, 60)
    after, meant = learned(from_bytes(to_bytes(record)), came(price)), learned(record, came(price))
    assert after.claims == meant.claims == ()
    for model, sums in meant.sums.items():
        np.testing.assert_allclose(after.sums[model], sums, atol=1e-3)  # single precision of some hundreds
        assert (sums > record.sums[model]).any()


def test_a_record_is_small():
    """Of a day of forecasts of a day ahead, which a service puts aside every hour."""
    assert len(to_bytes(made(claims=18))) < 100_000


@given(st.binary(max_size=300))
def test_rubbish_is_refused(content):
    with pytest.raises(ValueError, match="no record"):
        from_bytes(content)


def test_a_record_cut_short_is_refused():
    content = to_bytes(made())
    for size in range(0, len(content), 97):
        with pytest.raises(ValueError, match="no"):
            from_bytes(content[:size])


@settings(max_examples=150)
@given(data=st.data())
def test_a_record_that_rotted_is_refused_or_read_and_nothing_else(data):
    content = bytearray(to_bytes(made(claims=1)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        found = from_bytes(bytes(content))
    except ValueError:
        return
    assert isinstance(found, Record)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"as_of": np.array("now")},
        {"as_of": np.array(5), "sums/direct": np.zeros((3, 7))},
        {"as_of": np.array(5), "0/head": np.array([1.0, 2.0])},
        {"as_of": np.array(5), "0/head": np.array([np.inf, 900.0, 1.0, 0.0]), "0/leads": np.array([1])},
        {
            "as_of": np.array(5),
            "0/head": np.array([5.0, 900.0, 1.0, 0.0]),
            "0/leads": np.array([1, 2]),
            "0/said/blend": np.zeros((7, 3)),
        },
    ],
    ids=["empty", "no time", "sums of another shape", "half a head", "no finite time", "more said than leads"],
)
def test_arrays_that_are_no_record_are_refused(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    with pytest.raises(ValueError, match="is no "):
        from_bytes(buffer.getvalue())
