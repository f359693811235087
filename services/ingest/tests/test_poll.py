"""The live feed: every interval once a revision, in order, from the source that tells, through restarts."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from carbonshift.common.client import bare_client
from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, GridTick, Issue, PriceMarket, Quality
from carbonshift.ingest.chain import Chain
from carbonshift.ingest.errors import SourceUnavailableError
from carbonshift.ingest.metrics import IngestMetrics
from carbonshift.ingest.poll import Feed, changed, check_steps
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.published import published
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings

STEP = timedelta(minutes=5)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """The time of a test."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


class Told:
    """A source of its own truth: `by_number` in intervals from START, published `delay` after each interval's end."""

    carbon_basis, price_market, time_zone = CarbonBasis.MARGINAL, PriceMarket.REAL_TIME, "UTC"

    def __init__(self, clock, by_number, name="told", interval_seconds=300, delay=timedelta(0)):
        self.clock, self.by_number, self.name, self.delay = clock, by_number, name, delay
        self.interval_seconds = interval_seconds
        self.signals = frozenset(Signal)
        self.away = False
        self.asked = []

    async def fetch(self, signal, region, start, end):
        self.asked.append((start, end))
        if self.away:
            raise SourceUnavailableError(f"{self.name} is away", "wait")
        step = timedelta(seconds=self.interval_seconds)
        numbers = range(-((START - start) // step), -((START - end) // step))
        return [
            Reading(START + step * n, self.by_number[n])
            for n in numbers
            if n in self.by_number and START + step * (n + 1) + self.delay <= self.clock.now
        ]


class Shelf:
    """Where the feed puts its ticks."""

    def __init__(self):
        self.ticks = []

    async def publish(self, events):
        self.ticks += events


def wavy(level, count=2_000):
    return {n: round(level * (1 + 0.01 * ((n * 37) % 101)), 3) for n in range(-600, count)}


def feed(clock, prices, carbons, shelf=None, **changes):
    settings = IngestSettings(price_sources=("a",), carbon_sources=("b",), **changes)
    since = clock.now - timedelta(seconds=settings.backfill_seconds)
    price, carbon = (
        Chain(signal, sources, settings, IngestMetrics(CollectorRegistry()), since, clock)
        for signal, sources in ((Signal.PRICE, prices), (Signal.CARBON, carbons))
    )
    return Feed(settings, price, carbon, shelf or Shelf(), clock)


async def live(feed, clock, until):
    while clock.now < until:
        await feed.poll()
        clock.now = max(feed.due_at(), clock.now + timedelta(seconds=1))


def in_turn(ticks):
    """Each id once, revisions count up, first tellings without a hole."""
    newest = {}
    for tick in ticks:
        assert tick.revision == newest.get(tick.interval_start, -1) + 1
        newest[tick.interval_start] = tick.revision
    firsts = [tick.interval_start for tick in ticks if not tick.revision]
    assert firsts == [firsts[0] + STEP * n for n in range(len(firsts))]
    return firsts


async def test_a_day_is_told_interval_by_interval_as_it_is_published():
    clock = Clock(START + timedelta(seconds=100))
    price, carbon = wavy(40.0), wavy(300.0)
    running = feed(clock, [Told(clock, price)], [Told(clock, carbon, delay=timedelta(seconds=90))])
    await live(running, clock, START + timedelta(days=1))
    ticks = running.publisher.ticks
    assert in_turn(ticks)[0] == START - timedelta(days=2)  # the history that a start asks for
    assert {tick.revision for tick in ticks} == {0}
    for tick in ticks:
        number = (tick.interval_start - START) // STEP
        assert (tick.price_usd_per_mwh, tick.carbon_g_per_kwh, tick.issues) == (price[number], carbon[number], ())
    fresh = [t for t in ticks if t.interval_start > START + timedelta(hours=1)]
    lags = [(t.observed_at - t.interval_end).total_seconds() for t in fresh]
    assert max(lags) <= 90 + 30


async def test_a_value_that_is_late_is_held_and_then_corrected():
    clock = Clock(START)
    carbon = wavy(300.0)
    late = {n: carbon.pop(n) for n in range(12, 18)}
    source = Told(clock, carbon)
    running = feed(clock, [Told(clock, wavy(40.0))], [source])
    await live(running, clock, START + timedelta(minutes=5 * 21))
    source.by_number |= late
    await live(running, clock, START + timedelta(hours=3))
    ticks = running.publisher.ticks
    in_turn(ticks)
    at = {n: [t for t in ticks if t.interval_start == START + STEP * n] for n in range(12, 18)}
    assert [at[n][0].carbon_quality.value for n in range(12, 15)] == ["held"] * 3
    assert [at[n][0].carbon_quality.value for n in range(15, 18)] == ["missing", "missing", "interpolated"]
    assert [at[n][0].issues for n in range(15, 18)] == [(Issue.CARBON_STALE,), (Issue.CARBON_STALE,), ()]
    assert {at[n][1].carbon_quality for n in range(12, 17)} == {Quality.INTERPOLATED}
    for number, value in late.items():
        assert (at[number][-1].carbon_g_per_kwh, at[number][-1].carbon_quality) == (value, Quality.OBSERVED)


async def test_the_second_source_tells_while_the_first_is_away_and_the_first_after_it():
    clock = Clock(START)
    first, second = (Told(clock, wavy(300.0), name=name) for name in ("first", "second"))
    running = feed(clock, [Told(clock, wavy(40.0))], [first, second])
    await live(running, clock, START + timedelta(hours=1))
    first.away = True
    await live(running, clock, START + timedelta(hours=2))
    first.away = False
    await live(running, clock, START + timedelta(hours=4))
    ticks = running.publisher.ticks
    in_turn(ticks)
    assert {t.revision for t in ticks} == {0}  # what the second told stays its own: nothing is told twice
    names = [t.carbon_source for t in ticks if t.interval_start >= START]
    changes = [(a, b) for a, b in pairwise(names) if a != b]
    assert changes == [("first", "second"), ("second", "first")]
    assert 8 <= names.count("second") <= 16
    assert all(Quality.OBSERVED is t.carbon_quality for t in ticks)


async def test_a_source_that_answers_but_has_nothing_new_is_left_too():
    clock = Clock(START)
    silent = Told(clock, {n: v for n, v in wavy(300.0).items() if n < 12}, name="silent")
    running = feed(clock, [Told(clock, wavy(40.0))], [silent, Told(clock, wavy(300.0), name="other")])
    await live(running, clock, START + timedelta(hours=3))
    assert running.publisher.ticks[-1].carbon_source == "other"
    assert running.publisher.ticks[-1].carbon_quality is Quality.OBSERVED


async def test_two_providers_that_contradict_one_another_are_not_believed():
    clock = Clock(START)
    other = {n: v + 900.0 if 24 <= n < 36 else v for n, v in wavy(300.0).items()}
    running = feed(clock, [Told(clock, wavy(40.0))], [Told(clock, wavy(300.0)), Told(clock, other, name="other")])
    await live(running, clock, START + timedelta(hours=5))
    newest = {t.interval_start: t for t in running.publisher.ticks}
    disputed = [(t.interval_start - START) // STEP for t in newest.values() if Issue.CARBON_DISPUTED in t.issues]
    assert disputed == list(range(24, 36))


async def test_an_hourly_carbon_stands_beside_five_minute_prices():
    clock = Clock(START + timedelta(minutes=1))
    hourly = {n: 200.0 + n for n in range(-48, 48)}
    source = Told(clock, hourly, interval_seconds=3_600, delay=-timedelta(minutes=55))  # known early in its hour
    running = feed(clock, [Told(clock, wavy(40.0))], [source])
    await live(running, clock, START + timedelta(hours=8))
    ticks = running.publisher.ticks
    in_turn(ticks)
    newest = {t.interval_start: t for t in ticks}
    for moment, tick in newest.items():
        if moment < START + timedelta(hours=7):
            assert tick.carbon_g_per_kwh == hourly[(moment - START) // timedelta(hours=1)]


async def test_a_source_that_has_nothing_at_all_is_named_once(caplog):
    clock = Clock(START)
    running = feed(clock, [Told(clock, {}, name="mistyped")], [Told(clock, wavy(300.0))])
    await live(running, clock, START + timedelta(minutes=30))
    said = [r.getMessage() for r in caplog.records if "mistyped" in r.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("mistyped has no price since 2025-12-30T00:00")


async def test_a_source_with_an_error_of_its_own_stops_no_other(caplog):
    clock = Clock(START)
    broken = Told(clock, wavy(300.0), name="broken")
    broken.by_number = None
    running = feed(clock, [Told(clock, wavy(40.0))], [broken, Told(clock, wavy(300.0), name="other")])
    await live(running, clock, START + timedelta(minutes=30))
    assert running.publisher.ticks[-1].carbon_source == "other"
    assert "broken has an error of its own" in caplog.text


async def test_chains_of_mixed_steps_fail_over_and_back_without_telling_anything_anew():
    for steps in ((3_600, 300), (300, 3_600)):
        clock = Clock(START + timedelta(minutes=1))
        first, second = (
            Told(clock, wavy(300.0), name=name, interval_seconds=step, delay=timedelta(seconds=-step))
            for name, step in zip(("first", "second"), steps, strict=True)
        )
        running = feed(clock, [Told(clock, wavy(40.0))], [first, second])
        await live(running, clock, START + timedelta(hours=2))
        first.away = True
        await live(running, clock, START + timedelta(hours=4, minutes=20))
        first.away = False
        await live(running, clock, START + timedelta(hours=7))
        ticks = running.publisher.ticks
        in_turn(ticks)
        assert {t.carbon_quality for t in ticks} == {Quality.OBSERVED}
        assert {t.revision for t in ticks} == {0}
        for tick in ticks:
            source = {"first": first, "second": second}[tick.carbon_source]
            number = (tick.interval_start - START) // timedelta(seconds=source.interval_seconds)
            assert tick.carbon_g_per_kwh == source.by_number[number]


async def test_an_estimate_does_not_displace_what_was_measured():
    clock = Clock(START)
    source = Told(clock, wavy(300.0))
    running = feed(clock, [Told(clock, wavy(40.0))], [source])
    await live(running, clock, START + timedelta(hours=1))
    asked = source.fetch

    async def vague(*arguments):
        return [Reading(r.interval_start, r.value + 1.0, estimated=True) for r in await asked(*arguments)]

    source.fetch = vague
    await live(running, clock, START + timedelta(hours=3))
    source.fetch = asked
    await live(running, clock, START + timedelta(hours=5))
    ticks = running.publisher.ticks
    in_turn(ticks)
    newest = {t.interval_start: t for t in ticks}
    assert {t.carbon_quality for t in newest.values()} == {Quality.OBSERVED}
    kinds = {}
    for t in ticks:
        kinds.setdefault(t.interval_start, []).append(t.carbon_quality)
    assert [Quality.OBSERVED, Quality.ESTIMATED] not in [kind[:2] for kind in kinds.values()]


@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        [Reading(datetime(2026, 1, 1), 1.0)],  # noqa: DTZ001
        [Reading(START, "dear")],
        [Reading(START + timedelta(seconds=7), 1.0)],
        [Reading(START, float("nan"))],
    ],
)
async def test_a_source_that_answers_rubbish_stops_no_other(rubbish, caplog):
    clock = Clock(START)
    broken = Told(clock, {}, name="broken")

    async def answer(*_):
        return rubbish

    broken.fetch = answer
    running = feed(clock, [Told(clock, wavy(40.0))], [broken, Told(clock, wavy(300.0), name="other")])
    await live(running, clock, START + timedelta(minutes=30))
    assert running.publisher.ticks[-1].carbon_source == "other"
    assert "broken has an error of its own" in caplog.text


async def test_a_source_that_hangs_is_away():
    clock = Clock(START)
    hanging = Told(clock, {}, name="hanging")

    async def forever(*_):
        await asyncio.sleep(3_600)

    hanging.fetch = forever
    running = feed(
        clock, [Told(clock, wavy(40.0))], [hanging, Told(clock, wavy(300.0), name="other")], poll_seconds=0.1
    )
    for minutes in range(0, 30, 5):
        clock.now = START + timedelta(minutes=minutes)
        await running.poll()
    assert running.publisher.ticks[-1].carbon_source == "other"


async def test_a_dispute_outlives_the_witness():
    clock = Clock(START)
    other = Told(clock, {n: v + 900.0 if 24 <= n < 36 else v for n, v in wavy(300.0).items()}, name="other")
    running = feed(clock, [Told(clock, wavy(40.0))], [Told(clock, wavy(300.0)), other])
    await live(running, clock, START + timedelta(hours=3, minutes=30))
    other.away = True
    await live(running, clock, START + timedelta(hours=6))
    newest = {t.interval_start: t for t in running.publisher.ticks}
    disputed = [(t.interval_start - START) // STEP for t in newest.values() if Issue.CARBON_DISPUTED in t.issues]
    assert disputed == list(range(24, 36))


async def test_a_source_that_is_always_late_is_waited_for_and_not_left():
    clock = Clock(START)
    late = Told(clock, wavy(300.0), name="late", delay=timedelta(minutes=15))
    running = feed(clock, [Told(clock, wavy(40.0))], [late, Told(clock, wavy(300.0), name="other")])
    await live(running, clock, START + timedelta(hours=5))
    settled = [t for t in running.publisher.ticks if t.interval_start > START + timedelta(hours=2)]
    assert {(t.carbon_source, t.carbon_quality, t.revision) for t in settled} == {("late", Quality.OBSERVED, 0)}


async def test_an_hourly_value_that_comes_after_its_hour_is_held_until_then():
    clock = Clock(START + timedelta(minutes=1))
    late = Told(clock, wavy(300.0), interval_seconds=3_600, delay=timedelta(minutes=10))
    running = feed(clock, [Told(clock, wavy(40.0))], [late])
    await live(running, clock, START + timedelta(hours=8))
    firsts = [t for t in running.publisher.ticks if not t.revision and t.interval_start > START + timedelta(hours=3)]
    assert {t.carbon_quality for t in firsts} <= {Quality.HELD, Quality.OBSERVED}


async def test_what_is_corrected_hours_later_is_told_anew():
    clock = Clock(START)
    source = Told(clock, wavy(300.0))
    hole = {n: source.by_number.pop(n) for n in range(6, 24)}
    running = feed(clock, [Told(clock, wavy(40.0))], [source])
    await live(running, clock, START + timedelta(hours=5))
    source.by_number |= hole
    source.by_number[30] += 1.0
    await live(running, clock, START + timedelta(hours=7))
    in_turn(running.publisher.ticks)
    newest = {t.interval_start: t for t in running.publisher.ticks}
    for number in (*hole, 30):
        told = newest[START + STEP * number]
        assert (told.carbon_g_per_kwh, told.carbon_quality) == (source.by_number[number], Quality.OBSERVED)


async def test_other_sources_after_a_restart_leave_what_was_told_as_it_is():
    clock, shelf = Clock(START), Shelf()
    running = feed(clock, [Told(clock, wavy(40.0))], [Told(clock, wavy(300.0), name="a")], shelf)
    await live(running, clock, START + timedelta(hours=2))
    before = list(shelf.ticks)
    running = feed(clock, [Told(clock, wavy(40.0))], [Told(clock, wavy(200.0), name="b")], shelf)
    running.resume(before)
    await live(running, clock, START + timedelta(hours=4))
    in_turn(shelf.ticks)
    assert {t.revision for t in shelf.ticks} == {0}
    assert {t.carbon_source for t in shelf.ticks[len(before) :]} == {"b"}


async def test_weeks_of_it_take_no_more_memory():
    clock = Clock(START)
    hourly = [Told(clock, wavy(level, 2_000), interval_seconds=3_600) for level in (40.0, 300.0)]
    running = feed(clock, hourly[:1], hourly[1:])
    sizes = []
    for _ in range(2):
        await live(running, clock, clock.now + timedelta(days=36))
        sizes.append((len(running.published), len(running.price._told), len(running.price._members[0].readings)))
        running.publisher.ticks.clear()
    assert sizes[0] == pytest.approx(sizes[1], abs=3)


async def test_nobody_answers_and_every_interval_says_so():
    clock = Clock(START)
    price, carbon = Told(clock, wavy(40.0)), Told(clock, wavy(300.0))
    price.away = carbon.away = True
    running = feed(clock, [price], [carbon])
    await live(running, clock, START + timedelta(hours=1))
    ticks = running.publisher.ticks
    assert len(in_turn(ticks)) >= 9
    assert {(t.price_quality, t.carbon_quality) for t in ticks} == {(Quality.MISSING, Quality.MISSING)}


async def test_a_long_absence_is_caught_up_on_piece_by_piece():
    clock = Clock(START)
    source = Told(clock, wavy(40.0, 20_000))
    running = feed(clock, [source], [Told(clock, wavy(300.0, 20_000))])
    await running.poll()
    clock.now += timedelta(days=10)  # a process that slept
    await live(running, clock, START + timedelta(days=11))
    newest = {t.interval_start: t for t in running.publisher.ticks}
    in_turn(running.publisher.ticks)
    assert {t.price_quality for m, t in newest.items() if m < START + timedelta(days=10, hours=23)} == {
        Quality.OBSERVED
    }
    assert max(end - start for start, end in source.asked) <= timedelta(days=7)


async def test_a_unit_that_changes_stays_doubted_across_a_restart(bus):
    clock = Clock(START)
    price = {n: v / 1_000 if n >= 30 else v for n, v in wavy(40.0).items()}

    async def life(until):
        settings = IngestSettings(nats_url=bus.url)
        async with bare_client(settings) as client:
            running = feed(
                clock, [Told(clock, price)], [Told(clock, wavy(300.0))], Publisher(client.jetstream(), settings)
            )
            running.resume(await published(client.jetstream(), settings, GridTick, datetime(2020, 1, 1, tzinfo=UTC)))
            await live(running, clock, until)
            return running

    await life(START + timedelta(hours=30))
    clock.now += timedelta(hours=1)
    running = await life(START + timedelta(hours=40))
    ticks = await bus.collect(GridTick, until=max(running.published))
    in_turn(ticks)
    since = START + STEP * 30
    assert all(Issue.PRICE_UNIT_JUMP in t.issues for t in ticks if t.interval_start >= since)
    assert not any(t.issues for t in ticks if t.interval_start < since)


async def test_a_restart_leaves_no_gap_and_says_nothing_twice(bus):
    clock = Clock(START)
    settings = IngestSettings(nats_url=bus.url)
    for day in range(4):
        async with bare_client(settings) as client:
            jetstream = client.jetstream()
            running = feed(clock, [Told(clock, wavy(40.0))], [Told(clock, wavy(300.0))], Publisher(jetstream, settings))
            running.resume(await published(jetstream, settings, GridTick, datetime(2020, 1, 1, tzinfo=UTC)))
            await live(running, clock, START + timedelta(hours=6 * day + 3))
        clock.now += timedelta(hours=3)
    ticks = await bus.collect(GridTick, until=max(running.published))
    in_turn(ticks)
    assert {t.revision for t in ticks} == {0}


def test_sources_of_two_kinds_do_not_stand_in_for_one_another():
    clock = Clock(START)
    average = Told(clock, {}, name="average")
    average.carbon_basis = CarbonBasis.AVERAGE
    with pytest.raises(InputError, match="average and told do not tell the same carbon: average, marginal"):
        feed(clock, [Told(clock, {})], [average, Told(clock, {})])
    with pytest.raises(InputError, match="no source of the price is set"):
        feed(clock, [], [average])
    average.signals = frozenset({Signal.CARBON})
    with pytest.raises(InputError, match="average tells no price"):
        feed(clock, [average], [average])
    uneven = feed(clock, [Told(clock, {}, interval_seconds=420)], [Told(clock, {})])
    with pytest.raises(InputError, match="multiples"):
        check_steps(uneven.price, uneven.carbon)


def tick(number, price, revision=0, quality=Quality.OBSERVED):
    return GridTick(
        region="caiso",
        interval_start=START + STEP * number,
        interval_seconds=300,
        revision=revision,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=1.0,
        carbon_basis=CarbonBasis.MARGINAL,
        price_quality=Quality.MISSING if price is None else quality,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="a",
        carbon_source="b",
        observed_at=START,
    )


@given(polls=st.lists(st.lists(st.none() | st.floats(0, 10), min_size=8, max_size=8), max_size=8))
def test_revisions_count_up_and_nothing_is_said_twice(polls):
    published, ids = {}, []
    for prices in polls:
        ticks = [tick(number, price) for number, price in enumerate(prices)]
        news = changed(ticks, published, START, 300.0)
        ids += [each.id for each in news]
        published |= {each.interval_start: each for each in news}
        assert changed(ticks, published, START, 300.0) == []
    assert len(ids) == len(set(ids))


def test_the_newest_interval_waits_for_its_value_and_not_for_ever():
    ticks = [tick(0, 1.0), tick(1, None), tick(2, 2.0), tick(3, None)]
    assert [each.price_usd_per_mwh for each in changed(ticks, {}, START, 300.0)] == [1.0, None, 2.0]
    assert len(changed(ticks, {}, START + STEP * 5, 300.0)) == 4
