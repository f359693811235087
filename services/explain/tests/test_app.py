"""The shell of explain on a real broker."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from carbonshift.common.events import DeadLetter, Narrative, Pulse, Replay
from carbonshift.explain.app import build
from carbonshift.explain.settings import ExplainSettings


@asynccontextmanager
async def explaining(url):
    app = build(ExplainSettings(nats_url=url))
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
