"""A day of the live feed, from providers that fail in every third answer, against what was true."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from carbonshift.common.client import bare_client
from carbonshift.common.events import GridTick, Quality
from carbonshift.common.plugins import load_plugin
from carbonshift.ingest.chain import Chain
from carbonshift.ingest.metrics import IngestMetrics
from carbonshift.ingest.poll import Feed
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.reading import Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import WebPool

START = datetime(2026, 6, 10, 7, tzinfo=UTC)  # midnight in California
STEP = timedelta(minutes=5)


class Clock:
    def __init__(self, grid, now):
        self.grid, self.now = grid, now

    def __call__(self):
        return self.now

    def moves_to(self, moment):
        self.now = self.grid.now = moment


async def a_day(bus, grid, monkeypatch, carbon_sources, end, poll_seconds=30.0, timeout_seconds=20.0):
    for name, value in grid.settings().items():
        monkeypatch.setenv(name, value)
    settings = IngestSettings(
        nats_url=bus.url,
        price_sources=("caiso-rtm",),
        carbon_sources=carbon_sources,
        backfill_seconds=7_200,
        poll_seconds=poll_seconds,
    )
    clock = Clock(grid, START)
    clock.moves_to(START + timedelta(seconds=42))
    # no second of the real clock is waited for: a question is asked once, and the circuit closes again at once
    async with WebPool(timeout_seconds, open_seconds=0.0, clock=clock) as web, bare_client(settings) as client:
        since = clock.now - timedelta(seconds=settings.backfill_seconds)
        chains = [
            Chain(
                signal,
                [load_plugin("carbonshift.sources", name)(settings, web) for name in names],
                settings,
                IngestMetrics(CollectorRegistry()),
                since,
                clock,
            )
            for signal, names in ((Signal.PRICE, settings.price_sources), (Signal.CARBON, carbon_sources))
        ]
        feed = Feed(settings, *chains, Publisher(client.jetstream(), settings), clock)
        while clock.now < end:
            await feed.poll()
            clock.moves_to(max(feed.due_at(), clock.now + timedelta(seconds=5)))
        grid.fault_rate = 0.0
        for seconds in (120, 120, 3_700, 120, 120):  # once in an hour a question reaches back a day
            clock.moves_to(clock.now + timedelta(seconds=seconds))
            await feed.poll()
    told = await bus.count("TICKS")
    return await bus.collect(GridTick, when=lambda found: len(found) == told)


def in_turn(ticks):
    newest = {}
    for tick in ticks:
        assert tick.revision == newest[tick.interval_start].revision + 1 if tick.revision else True
        assert tick.interval_start not in newest or tick.revision
        newest[tick.interval_start] = tick
    firsts = [tick.interval_start for tick in ticks if not tick.revision]
    assert firsts == [firsts[0] + STEP * n for n in range(len(firsts))]
    return newest


@pytest.mark.timeout(300)
@pytest.mark.parametrize("hours", [8, pytest.param(24, marks=pytest.mark.soak)])
async def test_a_day_under_thirty_percent_faults_differs_from_truth_only_where_truth_was_never_served(
    bus, grid, monkeypatch, hours
):
    length = timedelta(hours=hours)
    never_served = {START + STEP * n for n in range(36, 66)}
    grid.lie(lambda signal, moment, value: None if signal == "carbon" and moment in never_served else value)
    grid.fault_rate = 0.3
    grid.slow_seconds = 0.3
    grid.random_faults = tuple(sorted(set(grid.faults) - {"429-retry-after"}))  # it would be waited for in real time
    ticks = await a_day(
        bus, grid, monkeypatch, ("caiso-outlook",), START + length, poll_seconds=75.0, timeout_seconds=0.25
    )
    newest = in_turn(ticks)
    whole = [START + STEP * n for n in range(int(length / STEP) - 6)]
    assert set(whole) <= set(newest)
    faults = [asked.fault for asked in grid.requests if asked.fault]
    assert len(faults) > 0.2 * len(grid.requests)
    assert len(set(faults)) >= 15
    assert {m for m in whole if newest[m].price_quality is not Quality.OBSERVED} == set()
    assert {m for m in whole if newest[m].carbon_quality is not Quality.OBSERVED} == never_served
    for tick in ticks:  # and nothing was ever told as observed that was not true
        if tick.price_quality is Quality.OBSERVED:
            assert tick.price_usd_per_mwh == pytest.approx(grid.truth.price_usd_per_mwh(tick.interval_start), abs=1e-4)
        if tick.carbon_quality is Quality.OBSERVED:
            assert tick.carbon_g_per_kwh == pytest.approx(grid.truth.carbon_g_per_kwh(tick.interval_start), abs=1e-4)
        assert not [code for code in tick.issues if not code.endswith("_stale")]


async def test_without_faults_every_tick_is_had_within_a_poll_of_its_publication(bus, grid, monkeypatch):
    end = START + timedelta(hours=6)
    ticks = await a_day(bus, grid, monkeypatch, ("caiso-outlook",), end)
    newest = in_turn(ticks)
    assert {tick.revision for tick in ticks} == {0}
    late = [
        (t.observed_at - t.interval_end).total_seconds()
        for m, t in newest.items()
        if START + timedelta(hours=1) < m < end - timedelta(hours=1)
    ]
    assert max(late) <= grid.delay_seconds["carbon"] + 45


async def test_watttime_tells_the_running_interval_as_an_estimate_and_then_as_it_was(bus, grid, monkeypatch):
    ticks = await a_day(bus, grid, monkeypatch, ("watttime",), START + timedelta(hours=3))
    newest = in_turn(ticks)
    fresh = [t for t in ticks if START + timedelta(hours=1) < t.interval_start < START + timedelta(hours=2)]
    for tick in fresh:
        truth = grid.truth.carbon_g_per_kwh(tick.interval_start)
        if tick.carbon_quality is Quality.OBSERVED:
            assert tick.carbon_g_per_kwh == pytest.approx(truth, abs=1e-4)
    assert {newest[t.interval_start].carbon_quality for t in fresh} == {Quality.OBSERVED}
