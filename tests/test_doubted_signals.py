"""From a spoilt source to the state: what is broken makes no GREEN, and what is only rare is not taken for broken."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from carbonshift.backtest.offline import offline_states
from carbonshift.common.events import CarbonBasis, Issue, PriceMarket, Pulse, Quality
from carbonshift.common.tape import open_tape
from carbonshift.decide.settings import DecideSettings
from carbonshift.ingest.bundled import bundled_tapes
from carbonshift.ingest.cleaning.clean import Cleaner
from carbonshift.ingest.cleaning.frame import Frame
from carbonshift.ingest.cleaning.series import Series
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.replay import Span, frame_of, ticks_of
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.recording import RecordingSource

OUTAGE = timedelta(hours=10)
SPAN = Span(datetime(2018, 5, 1, tzinfo=UTC), datetime(2018, 5, 31, tzinfo=UTC))


@dataclass
class Spoilt:
    """A tape whose carbon, or both signals, are replaced within [start, start + OUTAGE)."""

    inner: RecordingSource
    start: datetime
    signals: frozenset[Signal]
    value_at: object
    length: timedelta = OUTAGE

    async def fetch(self, signal, region, start, end):
        readings = await self.inner.fetch(signal, region, start, end)
        return [
            Reading(r.interval_start, self.value_at(signal, r))
            if signal in self.signals and self.start <= r.interval_start < self.start + self.length
            else r
            for r in readings
        ]


async def told(source, tape):
    return [tick async for tick in ticks_of(source, SPAN, frame_of(tape), IngestSettings().patience())]


def greens(ticks, start, length=OUTAGE):
    states = offline_states(ticks, DecideSettings())
    return [s for s in states if s.state is Pulse.GREEN and start <= s.interval_start < start + length]


@pytest.fixture(scope="module")
def tape():
    return open_tape(bundled_tapes()["de_2018_15min"])


def outages():
    """Of ten hours, at every hour of the day, on days across the month."""
    return [SPAN.start + timedelta(days=15 + hour // 2, hours=hour) for hour in range(0, 24, 3)]


async def test_ten_hours_of_zero_make_no_green(tape):
    taken_at_their_word = 0
    for start in outages():
        source = Spoilt(RecordingSource(IngestSettings(), tape=tape), start, frozenset({Signal.CARBON}), zero)
        ticks = await told(source, tape)
        assert greens(ticks, start) == []
        taken_at_their_word += len(greens([tick.model_copy(update={"issues": ()}) for tick in ticks], start))
    assert taken_at_their_word > 100


def zero(_signal, _reading):
    return 0.0


@pytest.mark.parametrize(("away_hours", "zero_hours"), [(0, 30), (8, 20), (24, 20)])
async def test_zeros_are_not_believed_for_being_long_or_for_coming_out_of_an_absence(tape, away_hours, zero_hours):
    away = SPAN.start + timedelta(days=18)
    begun, over = away + timedelta(hours=away_hours), away + timedelta(hours=away_hours + zero_hours)

    def value_at(_signal, reading):
        return None if reading.interval_start < begun else 0.0

    source = Spoilt(
        RecordingSource(IngestSettings(), tape=tape), away, frozenset({Signal.CARBON}), value_at, over - away
    )
    ticks = await told(source, tape)
    zeros = [tick for tick in ticks if begun <= tick.interval_start < over]
    assert len(zeros) >= zero_hours * 4
    assert all(tick.issues for tick in zeros)
    assert greens(ticks, away, over - away) == []


@pytest.mark.parametrize("start", outages(), ids=str)
async def test_a_line_that_stands_still_makes_no_green_once_it_is_known_to(tape, start):
    frozen = {}

    def first(signal, reading):
        return frozen.setdefault(signal, reading.value)

    source = Spoilt(RecordingSource(IngestSettings(), tape=tape), start, frozenset({Signal.CARBON}), first)
    ticks = await told(source, tape)
    late = start + 6 * timedelta(minutes=15)
    assert [s for s in greens(ticks, start) if s.interval_start >= late] == []


def test_a_genuine_zero_at_a_negative_price_is_green():
    """Twelve hours at 0 g/kWh while the price is below zero happen, and are the best hours of the year."""
    number = np.arange(4_320)
    zero = (number >= 4_000) & (number < 4_145)
    price = np.where(zero, -8.0 - number % 7, 30.0 + (number * 37) % 101 * 0.3)
    carbon = np.where(zero, 0.0, 100.0 + 3.0 * price)
    frame = Frame(
        region="caiso",
        interval_seconds=300,
        price_seconds=300,
        carbon_seconds=300,
        carbon_basis=CarbonBasis.MARGINAL,
        price_market=PriceMarket.REAL_TIME,
        price_source="a",
        carbon_source="b",
    )
    start = datetime(2026, 4, 1, tzinfo=UTC)
    nothing = np.zeros(number.size, dtype=bool)
    cleaner = Cleaner(frame, IngestSettings().patience(), start)
    ticks = list(cleaner.ticks(Series(price, nothing), Series(carbon, nothing)))
    assert {tick.issues for tick in ticks} == {()}
    states = list(offline_states(ticks, DecideSettings()))
    assert {state.state for state in states[4_012:4_145]} == {Pulse.GREEN}


RECORDINGS = Path(__file__).parents[2] / "shared" / "recordings"


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the folder of further recordings is not here")
class TestOnARealYear:
    """California 2019: a marginal rate that follows the price of the very same five minutes."""

    async def ticks(self, first, after):
        tape = open_tape(RECORDINGS / "caiso_dlap-pgae_moer-pge_2019_5min.csv.gz")
        source = RecordingSource(IngestSettings(), tape=tape)
        span = Span(first, after)
        return [tick async for tick in ticks_of(source, span, frame_of(tape), IngestSettings().patience())]

    async def test_the_market_that_stood_still_is_not_acted_on(self):
        start = datetime(2019, 3, 26, 1, 35, tzinfo=UTC)
        ticks = await self.ticks(start, start + timedelta(minutes=5 * 56))
        assert [bool(t.issues) for t in ticks] == [False] * 5 + [True] * 51

    async def test_next_to_nothing_of_the_year_is_doubted(self):
        ticks = await self.ticks(datetime(2019, 1, 1, 8, tzinfo=UTC), datetime(2020, 1, 1, 8, tzinfo=UTC))
        firsts = [t for t in ticks if not t.revision]
        assert len(firsts) == 105_120
        assert sum(bool(t.issues) for t in firsts) < 0.01 * len(firsts)
        genuine = [t for t in firsts if t.carbon_g_per_kwh == 0.0 and (t.price_usd_per_mwh or 0.0) < 0.0]
        assert len(genuine) > 3_500
        assert sum(Issue.CARBON_ZERO in t.issues for t in genuine) == 0
        missing = [t for t in firsts if t.carbon_quality is not Quality.OBSERVED]
        assert len(missing) == 15
        assert max(t.price_usd_per_mwh for t in firsts) > 1_100.0  # scarcity is kept
