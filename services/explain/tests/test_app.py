"""The shell of explain on a real broker."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from carbonshift.common.events import DeadLetter, Digest, Narrative, Pulse, Replay
from carbonshift.explain.app import build
from carbonshift.explain.settings import ExplainSettings


@asynccontextmanager
async def explaining(url, **settings):
    app = build(ExplainSettings(nats_url=url, **settings))
    started = asyncio.Event()
    app.after_startup(started.set)
    task = asyncio.create_task(app.run())
    try:
        await asyncio.wait_for(started.wait(), 20)
        yield
    finally:
        app.exit()
        await task


async def test_each_transition_is_told_once(bus, transition):
    red = transition(Pulse.RED, "price_critical", prices=(31, 412), replay=Replay(run="r1"))
    later = red.state.interval_start + timedelta(minutes=20)
    amber = transition(Pulse.AMBER, "score_middle", previous=Pulse.RED, now=later)
    async with explaining(bus.url):
        await bus.publish(red, red, amber)
        narratives = await bus.collect(Narrative, until=later)
    assert [n.transition_id for n in narratives] == [red.id, amber.id]
    assert narratives[0].id == f"narrative:{red.id}"
    assert narratives[0].replay == red.state.replay
    assert narratives[0].model == "template"
    assert not narratives[0].fallback
    assert narratives[0].facts["price_usd_per_mwh"] == 412.0
    assert "above the $150 limit" in narratives[0].text


async def test_one_delivered_again_is_stored_once(bus, transition):
    """The same transition under another message id comes as a redelivery does: to a service that has told it."""
    red = transition(Pulse.RED, "price_critical", prices=(31, 412))
    amber = transition(Pulse.AMBER, previous=Pulse.RED, now=red.state.interval_start + timedelta(minutes=20))
    async with explaining(bus.url):
        await bus.publish(red)
        await bus.publish_raw(red.subject("carbonshift"), red.model_dump_json().encode())
        await bus.publish(amber)
        narratives = await bus.collect(Narrative, until=amber.time)
    assert [n.transition_id for n in narratives] == [red.id, amber.id]


async def test_what_is_no_transition_goes_to_the_dlq_and_the_next_is_told(bus, transition):
    red = transition(Pulse.RED, "price_critical")
    async with explaining(bus.url):
        await bus.publish_raw("carbonshift.transition.caiso", b'{"region": "caiso"}')
        await bus.publish(red)
        narratives = await bus.collect(Narrative, until=red.time)
        letters = await bus.collect(DeadLetter, when=bool)
    assert [n.transition_id for n in narratives] == [red.id]
    assert letters[0].service == "explain"


TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)
"""What is live is stored in its own time: these tests tell of the real yesterday."""


def yesterday(grid, **changes):
    for hour in range(24):
        start = TODAY + (hour - 24) * HOUR
        yield grid.tick(start, **changes)
        yield grid.state(start, Pulse.AMBER, **changes)
        yield grid.use(start, 3.6e9, **changes)


def fence(transition, minutes):
    """A change of state: once it is told, what was published before it has been heard."""
    return transition(Pulse.RED, now=TODAY + timedelta(minutes=minutes))


async def test_a_day_is_told_once_it_is_over_and_its_accounts_are_in(bus, grid, transition):
    early = grid.state(TODAY + timedelta(minutes=20), interval_seconds=300)
    due = grid.state(TODAY + timedelta(minutes=25), interval_seconds=300)
    await bus.publish(*yesterday(grid))
    async with explaining(bus.url):
        await bus.publish(early, fence(transition, 20))
        await bus.collect(Narrative, when=bool)
        narratives = await bus.count("NARRATIVES")
        await bus.publish(due)
        (digest,) = await bus.collect(Digest, when=bool)
    assert narratives == 1
    assert (digest.start, digest.end, digest.replay) == (TODAY - 24 * HOUR, TODAY, None)
    assert "AMBER 24 h; no change." in digest.text
    assert digest.facts["drawn_kwh"] == 24_000.0


async def test_a_day_is_told_once_whoever_is_started_again(bus, grid):
    """The second service finds the digest; that of another region is the fence. Its duplicate window is not needed."""
    await bus.publish(*yesterday(grid), *yesterday(grid, region="de"))
    async with explaining(bus.url):
        await bus.publish(grid.state(TODAY + HOUR))
        await bus.collect(Digest, when=bool)
    async with explaining(bus.url):
        await bus.publish(grid.state(TODAY + 2 * HOUR), grid.state(TODAY + 2 * HOUR, region="de"))
        digests = await bus.collect(Digest, when=lambda found: len(found) > 1)
    assert [digest.region for digest in digests] == ["caiso", "de"]
    assert await bus.count("NARRATIVES") == 2


async def test_a_day_without_events_and_a_replayed_one_are_not_told(bus, grid):
    """An hour west of Greenwich the day of the replay is over too."""
    run = {"replay": Replay(run="r1")}
    await bus.publish(*yesterday(grid, **run), *yesterday(grid, region="de"))
    async with explaining(bus.url):
        await bus.publish(grid.state(TODAY + HOUR, **run), grid.state(TODAY + 2 * HOUR, region="fr"))
        await bus.publish(grid.state(TODAY + HOUR, region="de"))
        digests = await bus.collect(Digest, when=bool)
    assert [digest.region for digest in digests] == ["de"]


async def test_a_digest_that_cannot_be_made_stops_no_narrative(bus, grid, transition):
    """Its day is not in the calendar of any grid."""
    async with explaining(bus.url):
        await bus.publish(grid.state(datetime(9999, 12, 30, tzinfo=UTC)))
        red = fence(transition, 60)
        await bus.publish(red)
        narratives = await bus.collect(Narrative, until=red.time)
    assert [n.transition_id for n in narratives] == [red.id]


async def test_the_day_is_that_of_the_local_clock(bus, grid):
    await bus.publish(*yesterday(grid))
    async with explaining(bus.url, time_zone="Etc/GMT-2"):
        await bus.publish(grid.state(TODAY))
        (digest,) = await bus.collect(Digest, when=bool)
    assert (digest.start, digest.end) == (TODAY - 26 * HOUR, TODAY - 2 * HOUR)
    assert "AMBER 22 h" in digest.text
