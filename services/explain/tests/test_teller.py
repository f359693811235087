"""How a transition is told, where its narrative cannot be stored."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from carbonshift.common.client import bare_client
from carbonshift.common.errors import TransientError
from carbonshift.common.events import GridTransition, Pulse
from carbonshift.common.streams import stream_name
from carbonshift.explain.facts import fact_sheet
from carbonshift.explain.languages import English
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.teller import UNSTORED, Teller


@pytest.fixture
def red(transition):
    return transition(Pulse.RED, "price_critical", prices=(31, 412))


@asynccontextmanager
async def brought(bus, *transitions):
    """What is told to a teller of each: the transition, the message that brought it, and where to look."""
    await bus.publish(*transitions)
    async with bare_client(bus.settings) as client:
        jetstream = client.jetstream()
        stream = stream_name(GridTransition.stream, "carbonshift")
        subscription = await jetstream.pull_subscribe_bind("explain", stream)
        told = []
        for one in transitions:
            (message,) = await subscription.fetch(1, timeout=20)
            told.append((one, message, jetstream))
            if one is not transitions[-1]:
                await message.ack_sync()
        yield told


async def test_what_could_not_be_stored_is_paid_for_once_though_the_facts_move(bus, llm, llm_server, red, transition):
    text = English().narrate(fact_sheet(red)).replace("Training", "The training")
    llm.play(llm_server.message(json.dumps({"text": text})))
    key = {"anthropic_api_key": "sk-ant-test", "anthropic_base_url": llm.url.removesuffix("/v1")}
    teller = Teller(ExplainSettings(nats_url=bus.url, answer_seconds=0, **key))
    offered = []

    async def refuse(narrative):
        offered.append(narrative)
        raise TransientError("it was not stored", "is the broker up?")

    async def take(narrative):
        offered.append(narrative)

    async with brought(bus, red) as [told]:
        for minute in range(3):
            with pytest.raises(TransientError):
                await teller.tell(*told, refuse)
            earlier = transition(Pulse.AMBER, now=red.time.replace(minute=minute))
            await teller.lookout.around(earlier, told[1].metadata.timestamp, told[2])  # so that it counts
        await teller.tell(*told, take)
    await teller.close()
    assert len(llm.asked) == 1
    assert [one.text for one in offered] == [text] * 4
    assert len({one.model_dump_json() for one in offered}) == 1


async def test_a_store_that_hangs_is_given_up_at_a_stop(bus, red):
    teller = Teller(ExplainSettings(nats_url=bus.url, answer_seconds=0))
    storing = asyncio.Event()

    async def hang(_):
        storing.set()
        await asyncio.Event().wait()

    async with brought(bus, red) as [told]:
        telling = asyncio.create_task(teller.tell(*told, hang))
        await asyncio.wait_for(storing.wait(), 20)
        teller.stop()
        with pytest.raises(TransientError, match="explain stops"):
            await telling
    await teller.close()


async def test_what_was_never_stored_is_kept_up_to_a_bound(bus, transition):
    teller = Teller(ExplainSettings(nats_url=bus.url, answer_seconds=0))
    many = [transition(Pulse.RED, now=transition(Pulse.RED).time.replace(minute=minute)) for minute in range(20)]

    async def refuse(_):
        raise TransientError("it was not stored", "is the broker up?")

    async with brought(bus, *many) as brought_all:
        for told in brought_all:
            with pytest.raises(TransientError):
                await teller.tell(*told, refuse)
    await teller.close()
    assert len(teller._unstored) == UNSTORED
