"""Simulated faults: as many as were asked for, the same for every question, and nothing else changed."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.errors import InputError
from carbonshift.ingest.errors import SourceUnavailableError
from carbonshift.ingest.reading import Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.faulty import Faults, FaultySource
from carbonshift.ingest.sources.recording import RecordingSource
from carbonshift.ingest.web import WebPool

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 20
COUNT = 288 * DAYS
END = START + timedelta(days=DAYS)


@pytest.fixture
def tape(make_tape):
    return make_tape([(20.0 + n % 100, 100.0 + n % 90) for n in range(COUNT)])


def source(tape, *, live=False, **faults):
    settings = IngestSettings(tape=tape.path, faults=json.dumps({"source": "recording", **faults}))
    return (
        FaultySource(settings, WebPool(1.0))
        if live
        else FaultySource(settings, inner=RecordingSource(settings, tape=tape))
    )


async def carbon(faulty, start=START, end=END):
    return {r.interval_start: r.value for r in await faulty.fetch(Signal.CARBON, "x", start, end)}


async def test_without_a_share_nothing_is_changed(tape):
    plain = {
        r.interval_start: r.value
        for r in await RecordingSource(IngestSettings(), tape=tape).fetch(Signal.CARBON, "x", START, END)
    }
    assert await carbon(source(tape)) == plain


@pytest.mark.parametrize("kind", ["null", "zero", "unit_jump", "freeze", "outage", "delay"])
async def test_the_share_is_the_one_asked_for(tape, kind):
    plain, spoilt = await carbon(source(tape)), await carbon(source(tape, **{kind: 0.3}))
    changed = sum(spoilt.get(moment, "gone") != value for moment, value in plain.items())
    assert 0.2 < changed / COUNT < 0.4


@given(first=st.integers(0, COUNT - 1), count=st.integers(1, 300), seed=st.integers(0, 9))
def test_any_question_finds_the_same(first, count, seed):
    faults = Faults(seed=seed, zero=0.5)
    moments = [START + timedelta(minutes=5 * (first + n)) for n in range(count)]
    hours = {m.replace(minute=0): faults.strike("zero", Signal.PRICE, m) for m in moments}
    assert all(faults.strike("zero", Signal.PRICE, m) == hours[m.replace(minute=0)] for m in moments)


async def test_a_freeze_is_the_same_whatever_part_is_asked_for(tape):
    whole = await carbon(source(tape, freeze=0.5, seed=3))
    faulty = source(tape, freeze=0.5, seed=3)
    for start in (START + timedelta(minutes=5 * n) for n in (7, 700, 1_403)):
        part = await carbon(faulty, start, start + timedelta(hours=3))
        assert part == {m: v for m, v in whole.items() if start <= m < start + timedelta(hours=3)}


async def test_live_an_outage_is_an_error_and_a_delay_keeps_the_newest_back(tape):
    with pytest.raises(SourceUnavailableError, match="made to be away"):
        await source(tape, live=True, outage=1.0).fetch(Signal.PRICE, "x", START, END)
    late = await carbon(source(tape, live=True, delay=1.0, delay_seconds=1_800))
    assert max(late) == END - timedelta(minutes=35)


@pytest.mark.parametrize(("faults", "text"), [
    (None, "needs faults"),
    ("{", "Invalid JSON"),
    ('{"zero": 2}', "zero: Input should be less than or equal to 1"),
    ('{"zeros": 0.1}', "zeros: Extra inputs are not permitted"),
    ('{"zero": 0.1}', "names no source"),
    ('{"source": "faulty"}', "names no source"),
    ('{"source": "recording", "episode_seconds": 1e-320}', "episode_seconds: Input should be greater"),
    ('{"source": "nobody"}', "nothing is registered as 'nobody'"),
])  # fmt: skip
def test_what_does_not_fit_is_said(faults, text):
    with pytest.raises(InputError, match=text):
        FaultySource(IngestSettings(faults=faults), WebPool(1.0))
