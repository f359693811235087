"""What is read back of a span, from a real broker."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.client import bare_client
from carbonshift.common.events import Pulse, Replay
from carbonshift.common.settings import Settings
from carbonshift.explain.digest.gather import Run, gather, regions_of, runs_of
from carbonshift.explain.digest.heard import Heard
from carbonshift.explain.digest.span import Span, day_of

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
LONG_AGO = datetime(2018, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def gathered(bus):
    """What is heard of a span: `await gathered(span, run="r1")`."""

    async def read(span, run=None):
        heard = Heard("caiso", span, run)
        async with bare_client(bus.settings) as client:
            await gather(client.jetstream(), "carbonshift", heard)
        return heard

    return read


async def test_every_kind_of_event_is_heard_and_what_came_late_counts(bus, grid, gathered):
    day = Span(start=TODAY - 24 * HOUR, end=TODAY)
    await bus.publish(
        grid.tick(day.start),
        grid.state(day.start, Pulse.GREEN),
        grid.transition(day.start, Pulse.GREEN, Pulse.RED),
        grid.worker(day.start, "paused"),
        grid.use(day.start, 1e6),
        grid.forecast(day.end, [20.0], [300.0]),
        grid.tick(day.start, revision=1, price_usd_per_mwh=5.0),
        grid.use(day.start, 2e6, revision=1),
        grid.use(day.start, 4e6, region="de", device_uuid="GPU-2"),
    )
    heard = await gathered(day)
    assert [tick.price_usd_per_mwh for tick in heard.ticks.values()] == [5.0]
    assert [state.state for state in heard.states.values()] == [Pulse.GREEN]
    assert heard.changes == {day.start}
    assert heard.happenings.total() == 1
    assert [draw.energy_j for draw in heard.draws] == [2e6]
    assert heard.forecast.origin == day.end


async def test_a_replay_is_read_whenever_it_was_stored_and_alone(bus, grid, gathered):
    one, two = ({"replay": Replay(run=run)} for run in ("r1", "r2"))
    await bus.publish(
        *(grid.tick(LONG_AGO + hour * HOUR, **one) for hour in range(30)),
        *(grid.tick(LONG_AGO + hour * HOUR, price_usd_per_mwh=1.0, **two) for hour in range(24)),
        grid.tick(LONG_AGO, price_usd_per_mwh=2.0),
    )
    heard = await gathered(day_of(LONG_AGO.date(), "UTC"), "r1")
    assert [tick.price_usd_per_mwh for tick in heard.ticks.values()] == [31.0] * 24
    assert heard.replay == Replay(run="r1")


async def test_more_events_than_are_read_at_a_breath_are_all_heard(bus, grid, gathered):
    day = Span(start=TODAY - 24 * HOUR, end=TODAY)
    minutes = (day.start + timedelta(minutes=n) for n in range(450))
    await bus.publish(*(grid.use(start, 1e3, interval_seconds=60) for start in minutes))
    assert sum(draw.energy_j for draw in (await gathered(day)).draws) == 450e3


async def test_what_is_no_event_is_passed_over(bus, grid, gathered):
    day = Span(start=TODAY - 24 * HOUR, end=TODAY)
    await bus.publish_raw("carbonshift.tick.caiso", b"{}")
    await bus.publish(grid.tick(day.start))
    assert len((await gathered(day)).ticks) == 1


async def test_the_regions_and_runs_that_there_are_can_be_named(bus, grid):
    replay = {"replay": Replay(run="r1")}
    await bus.publish(
        grid.state(LONG_AGO, **replay),
        grid.state(LONG_AGO + HOUR, **replay),
        grid.state(TODAY),
        grid.tick(TODAY, region="de"),
    )
    async with bare_client(bus.settings) as client:
        assert await regions_of(client.jetstream(), "carbonshift") == ["caiso", "de"]
        assert await runs_of(client.jetstream(), "carbonshift", "caiso") == [
            Run(name="r1", region="caiso", first=LONG_AGO, end=LONG_AGO + 2 * HOUR),
            Run(name=None, region="caiso", first=TODAY, end=TODAY + HOUR),
        ]


async def test_a_broker_on_which_no_service_has_run_holds_nothing(broker_url):
    heard = Heard("caiso", day_of(LONG_AGO.date(), "UTC"))
    async with bare_client(Settings(nats_url=broker_url)) as client:
        await gather(client.jetstream(), "carbonshift", heard)
        assert await regions_of(client.jetstream(), "carbonshift") == []
        assert await runs_of(client.jetstream(), "carbonshift", "caiso") == []
    assert heard.is_empty


async def test_a_subject_that_is_no_region_is_none(bus, grid):
    """A broker lets a subject be any token, and a region is shown on terminals."""
    await bus.publish(grid.state(TODAY))
    await bus.publish_raw("carbonshift.state.\x1b[2Jowned", b"{}")
    async with bare_client(bus.settings) as client:
        assert await regions_of(client.jetstream(), "carbonshift") == ["caiso"]
