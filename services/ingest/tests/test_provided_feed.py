"""The provider's own forecast: each once, with nothing in it that no grid has, and no failure of it anybody else's."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.client import bare_client
from carbonshift.common.events import CarbonBasis, ProvidedForecast
from carbonshift.ingest.carbon_forecast import CarbonForecast, CarbonForecaster
from carbonshift.ingest.errors import SourceUnavailableError
from carbonshift.ingest.provided_feed import ProvidedFeed, provided_forecast
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.published import published
from carbonshift.ingest.reading import Reading
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.electricitymaps import ElectricityMaps
from carbonshift.ingest.sources.watttime import WattTime
from carbonshift.ingest.web import WebPool

STEP = timedelta(minutes=5)
NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


@pytest.fixture
async def feeding(bus, grid, monkeypatch, caplog):
    """Makes the feed of WattTime as a start of ingest does; the clock of all is the grid's."""
    caplog.set_level(logging.INFO, "carbonshift")
    for name, value in grid.settings().items():
        monkeypatch.setenv(name, value)
    settings = IngestSettings(nats_url=bus.url)
    grid.now = NOON + timedelta(seconds=40)
    async with (
        WebPool(0.3, open_seconds=0.0, clock=lambda: grid.now) as web,
        bare_client(settings) as client,
    ):

        def make(last=None):
            publisher = Publisher(client.jetstream(), settings)
            return ProvidedFeed(settings, WattTime(settings, web), publisher, lambda: grid.now, last)

        make.jetstream, make.settings = client.jetstream(), settings
        yield make


@pytest.fixture
def source(grid):
    settings = grid.settings()
    names = {"WATTTIME_USERNAME": "watttime_username", "WATTTIME_PASSWORD": "watttime_password"}
    return WattTime(IngestSettings(**{names[n]: v for n, v in settings.items() if n in names}), WebPool(1.0))


def stored(bus, count):
    return bus.collect(ProvidedForecast, when=lambda found: len(found) == count)


@given(
    values=st.lists(st.none() | st.floats(-5_000, 5_000), min_size=1, max_size=40),
    behind=st.integers(0, 10),
    missing=st.sets(st.integers(0, 40)),
    seconds=st.integers(0, 299),
)
def test_a_forecast_says_what_can_be_of_each_interval_from_its_own_on(values, behind, missing, seconds):
    source = WattTime(IngestSettings(watttime_username="a", watttime_password="b"), WebPool(1.0))  # noqa: S106
    made = NOON + timedelta(seconds=seconds)
    readings = [Reading(NOON + (n - behind) * STEP, v) for n, v in enumerate(values) if n not in missing]
    ahead = [reading for reading in readings if reading.interval_start >= NOON]
    sound = {r.interval_start: r.value for r in ahead if r.value is not None and 0 <= r.value <= 3_000}
    if not sound:
        with pytest.raises(SourceUnavailableError, match="nothing of what is to come"):
            provided_forecast("caiso", source, CarbonForecast(made, readings), made)
        return
    event, left_out = provided_forecast("caiso", source, CarbonForecast(made, readings), made)
    assert (event.region, event.source, event.carbon_basis) == ("caiso", "watttime", CarbonBasis.MARGINAL)
    assert (event.published_at, event.step_seconds, event.replay) == (made, 300, None)
    assert event.first_interval_start == ahead[0].interval_start
    moments = [event.first_interval_start + n * STEP for n in range(len(event.carbon_g_per_kwh))]
    assert moments[-1] == ahead[-1].interval_start
    told = {m: v for m, v in zip(moments, event.carbon_g_per_kwh, strict=True) if v is not None}
    assert told == pytest.approx(sound, abs=0.00501)
    assert left_out == sum(r.value is not None for r in ahead) - len(sound)


@pytest.mark.parametrize("days", [-300, -1, 9, 300_000])
def test_what_is_far_from_when_it_was_made_makes_no_forecast_long(source, days):
    far = Reading(NOON + timedelta(days=days), 1.0)
    readings = sorted([Reading(NOON, 2.0), far], key=lambda reading: reading.interval_start)
    event, _ = provided_forecast("caiso", source, CarbonForecast(NOON, readings), NOON)
    assert event.carbon_g_per_kwh == (2.0,)


@pytest.mark.parametrize(
    ("hours", "problem"), [(1, "yet to come"), (-1, "says nothing of what is to come"), (-30, "nothing of what is")]
)
def test_a_forecast_of_another_time_is_none(source, hours, problem):
    made = NOON + timedelta(hours=hours)
    with pytest.raises(SourceUnavailableError, match=problem):
        provided_forecast(
            "caiso", source, CarbonForecast(made, [Reading(made + n * STEP, 1.0) for n in range(12)]), NOON
        )


def test_a_forecast_that_is_an_hour_old_still_says_what_is_to_come(source):
    made = NOON - timedelta(hours=1)
    readings = [Reading(made + n * STEP, 1.0) for n in range(13)]
    event, _ = provided_forecast("caiso", source, CarbonForecast(made, readings), NOON)
    assert (event.first_interval_start, len(event.carbon_g_per_kwh)) == (made, 13)


async def test_each_forecast_comes_once_through_restarts(bus, grid, feeding):
    feed = feeding()
    assert [made.published_at for made in await feed.poll()] == [NOON]
    assert await feed.poll() == []
    (again,) = await feeding().poll()  # killed before it knew what it had published: the same id, stored once
    assert again.id == f"provided:caiso:{int(NOON.timestamp())}:watttime"
    grid.now = NOON + STEP
    before = await published(feeding.jetstream, feeding.settings, ProvidedForecast, datetime(2020, 1, 1, tzinfo=UTC))
    assert [forecast.published_at for forecast in before] == [NOON]
    after_restart = feeding(before[-1].published_at)
    assert [made.published_at for made in await after_restart.poll()] == [NOON + STEP]
    assert await after_restart.poll() == []
    first, second = await stored(bus, 2)
    assert await bus.count("TICKS") == 2
    assert (first.published_at, second.published_at) == (NOON, NOON + STEP)
    truth = [grid.truth.carbon_g_per_kwh(NOON + n * STEP) for n in range(288)]
    assert list(first.carbon_g_per_kwh) == pytest.approx(truth, abs=0.00501)


async def test_an_older_forecast_than_the_last_is_none(grid, feeding):
    feed = feeding()
    assert await feed.poll()
    grid.now -= 2 * STEP
    assert await feed.poll() == []


async def test_an_account_without_access_goes_without_and_hears_it_once(bus, grid, feeding, caplog):
    grid.region = "PJM_DC"
    feed = feeding()
    for _ in range(3):
        assert await feed.poll() == []
        grid.now += STEP
    assert caplog.text.count("Invalid scope") == 1
    grid.region = "CAISO_NORTH"  # the account has been given more
    assert await feed.poll()
    assert await bus.count("TICKS") == 1


@pytest.mark.parametrize("fault", ["503", "html", "cut", "empty", "closed"])
async def test_a_failure_is_said_once_until_it_is_over(bus, grid, feeding, caplog, fault):
    feed = feeding()
    grid.random_faults, grid.fault_rate = {fault}, 1.0
    for _ in range(7):
        assert await feed.poll() == []
        grid.now += STEP
    assert caplog.text.count("watttime: its forecast is not published") == 1
    grid.fault_rate = 0.0
    assert await feed.poll()
    assert caplog.text.count("watttime answers again about its forecast") == 1
    grid.fault_rate = 1.0
    grid.now += STEP
    assert await feed.poll() == []
    assert caplog.text.count("watttime: its forecast is not published") == 2
    assert await bus.count("TICKS") == 1


async def test_a_forecast_in_another_unit_is_none(bus, grid, feeding, caplog):
    grid.random_faults, grid.fault_rate = {"percentile"}, 1.0
    assert await feeding().poll() == []
    assert caplog.text.count("expected lbs_co2_per_mwh") == 1
    assert await bus.count("TICKS") == 0


async def test_a_forecast_by_a_clock_that_is_ahead_is_none(bus, grid, feeding, caplog):
    feed = feeding()
    feed.clock = lambda: grid.now - timedelta(hours=1)
    assert await feed.poll() == []
    assert "yet to come; look at the clock" in caplog.text
    feed.clock = lambda: grid.now + timedelta(days=2)
    assert await feed.poll() == []
    assert await bus.count("TICKS") == 0


async def test_what_no_grid_has_is_left_out_and_counted(grid, feeding, caplog):
    wrong = {NOON + 3 * STEP: -40.0, NOON + 4 * STEP: 400_000.0, NOON + 5 * STEP: None}
    grid.lie(lambda _, moment, value: wrong.get(moment, value))
    feed = feeding()
    (first,) = await feed.poll()
    assert len(first.carbon_g_per_kwh) == 288
    assert [n for n, value in enumerate(first.carbon_g_per_kwh) if value is None] == [3, 4, 5]
    assert caplog.text.count("2 values of its forecast of 288 steps") == 1
    grid.now += STEP
    assert await feed.poll()
    assert caplog.text.count("are such as no grid has") == 1


class OffTheGrid(WattTime):
    """A plug-in with an error of its own."""

    async def forecast(self, region, now):
        return CarbonForecast(now, [Reading(now, 1.0)])  # begins no interval


async def test_an_error_of_the_source_ends_nothing(grid, feeding, caplog):
    feed = feeding()
    feed.source = OffTheGrid(feeding.settings, WebPool(1.0))
    for _ in range(2):
        assert await feed.poll() == []
    assert caplog.text.count("has an error of its own in its forecast") == 1
    assert "begins none of its intervals" in caplog.text


def test_who_does_not_forecast_is_no_forecaster(source):
    assert isinstance(source, CarbonForecaster)
    assert not isinstance(ElectricityMaps(IngestSettings(electricitymaps_api_key="k"), WebPool(1.0)), CarbonForecaster)
