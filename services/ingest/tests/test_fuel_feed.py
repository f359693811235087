"""What feeds the grid: each interval once, nothing in it that no grid has, and no question twice for one file."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.client import bare_client
from carbonshift.common.events import Fuel, FuelMix
from carbonshift.ingest.fuel_feed import FuelFeed, fuel_mixes
from carbonshift.ingest.fuel_mix import FuelMixer, Supply
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.published import published
from carbonshift.ingest.reading import Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.caiso_outlook import CaisoOutlook
from carbonshift.ingest.sources.caiso_rtm import CaisoRealTime
from carbonshift.ingest.sources.electricitymaps import ElectricityMaps
from carbonshift.ingest.web import WebPool

STEP = timedelta(minutes=5)
NOON = datetime(2026, 6, 10, 19, tzinfo=UTC)  # in California


@pytest.fixture
async def feeding(bus, grid, monkeypatch, caplog):
    """Makes the feed of a source as a start of ingest does; the clock of all is the grid's."""
    caplog.set_level(logging.INFO, "carbonshift")
    for name, value in grid.settings().items():
        monkeypatch.setenv(name, value)
    settings = IngestSettings(nats_url=bus.url)
    grid.now = NOON
    async with (
        WebPool(0.3, open_seconds=0.0, clock=lambda: grid.now) as web,
        bare_client(settings) as client,
    ):

        def make(kind=CaisoOutlook, known=()):
            publisher = Publisher(client.jetstream(), settings)
            return FuelFeed(settings, kind(settings, web), publisher, lambda: grid.now, set(known))

        make.jetstream, make.settings = client.jetstream(), settings
        yield make


def outlook():
    return CaisoOutlook(IngestSettings(), WebPool(1.0))


@given(power=st.dictionaries(st.sampled_from(Fuel), st.floats()))
def test_a_mix_is_one_that_a_grid_can_have(power):
    found = fuel_mixes("caiso", outlook(), [Supply(NOON, power)])
    sound = any(p > 0 for p in power.values()) and all(abs(p) <= 1e13 for p in power.values())
    assert [(mix.interval_start, mix.power_w) for mix in found] == ([(NOON, power)] if sound else [])


@pytest.mark.parametrize("start", [NOON + timedelta(seconds=1), NOON.replace(tzinfo=None)])
def test_what_begins_no_interval_is_the_fault_of_its_source(start):
    with pytest.raises(ValueError, match="begins none of its intervals"):
        fuel_mixes("caiso", outlook(), [Supply(start, {Fuel.GAS: 1.0})])


@pytest.mark.parametrize("kind", [CaisoOutlook, ElectricityMaps])
async def test_each_interval_comes_once_through_restarts(bus, grid, feeding, kind):
    feed = feeding(kind)
    step = timedelta(seconds=feed.source.interval_seconds)
    first = await feed.poll()
    assert len(first) > timedelta(hours=20) // step
    assert {first[0].source, first[0].region} == {feed.source.name, "caiso"}
    assert await feed.poll() == []
    before = await published(feeding.jetstream, feeding.settings, FuelMix, datetime(2020, 1, 1, tzinfo=UTC))
    assert before == first
    grid.now += 2 * step
    after_restart = feeding(kind, (mix.interval_start for mix in before))
    second = await after_restart.poll()
    assert [mix.interval_start for mix in second] == [first[-1].interval_start + n * step for n in (1, 2)]
    assert await after_restart.poll() == []
    assert await bus.count("TICKS") == len(first) + 2
    assert after_restart.published == {mix.interval_start for mix in (*first, *second)} - {
        mix.interval_start for mix in first if mix.interval_start < grid.now - timedelta(days=1)
    }


async def test_a_file_that_the_carbon_has_just_had_is_not_asked_for_again(grid, feeding):
    feed = feeding()
    await feed.source.fetch(Signal.CARBON, "caiso", NOON - timedelta(days=1), NOON)
    asked = len(grid.asked("outlook"))
    assert len(await feed.poll()) > 280
    grid.now += STEP
    assert await feed.poll() == []
    assert len(grid.asked("outlook")) == asked
    await feed.source.fetch(Signal.CARBON, "caiso", NOON - timedelta(hours=1), NOON)
    assert len(await feed.poll()) == 1
    grid.now += 3 * STEP  # the carbon is away, or told by another source
    asked = len(grid.asked("outlook"))
    assert len(await feed.poll()) == 3
    assert [request.path for request in grid.asked("outlook")[asked:]] == ["/outlook/current/fuelsource.csv"]


@pytest.mark.parametrize("fault", ["503", "html", "cut", "empty", "closed"])
async def test_a_failure_is_said_once_until_it_is_over_and_takes_no_carbon_along(bus, grid, feeding, caplog, fault):
    feed = feeding(ElectricityMaps)
    grid.random_faults, grid.fault_rate = {fault}, 1.0
    for _ in range(7):
        assert await feed.poll() == []
    assert caplog.text.count("electricitymaps: its fuel mix is not published") == 1
    grid.fault_rate = 0.0
    assert await feed.source.fetch(Signal.CARBON, "caiso", NOON - timedelta(hours=5), NOON)  # at once: no open circuit
    assert await feed.poll()
    assert caplog.text.count("electricitymaps answers again about its fuel mix") == 1
    assert caplog.text.count("is not published") == 1


class Broken(CaisoOutlook):
    """A plug-in with an error of its own, and then with values that no grid has."""

    told = ()

    async def fuel_mix(self, region, start, end):
        return list(self.told)


async def test_an_error_of_the_source_ends_nothing(feeding, caplog):
    feed = feeding(Broken)
    feed.source.told = [Supply(NOON + timedelta(seconds=1), {Fuel.GAS: 1.0})]
    for _ in range(2):
        assert await feed.poll() == []
    assert caplog.text.count("caiso-outlook has an error of its own in its fuel mix") == 1


async def test_what_no_grid_has_is_left_out_and_counted(feeding, caplog):
    feed = feeding(Broken)
    power = ({Fuel.GAS: 1e9}, {Fuel.GAS: 1e14}, {Fuel.GAS: 0.0}, {})
    feed.source.told = [Supply(NOON - n * STEP, power_w) for n, power_w in enumerate(power)]
    for _ in range(2):
        await feed.poll()
    assert feed.published == {NOON}
    assert caplog.text.count("the fuel mix of 3 of 4 intervals is such as no grid has") == 1


def test_who_tells_no_fuels_is_no_mixer():
    assert isinstance(outlook(), FuelMixer)
    assert not isinstance(CaisoRealTime(IngestSettings(), WebPool(1.0)), FuelMixer)
