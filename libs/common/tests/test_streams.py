"""Streams and durables: declared once, changed only by declaring again, side by side under two prefixes."""

from datetime import UTC, datetime

import pytest
from nats.js.api import StreamConfig

from carbonshift.common.client import bare_client
from carbonshift.common.events import EVENTS, Fuel, FuelMix
from carbonshift.common.settings import Settings
from carbonshift.common.streams import (
    DURABLES,
    STREAMS,
    Durable,
    declare_streams,
    stream_name,
    subjects_of,
    token_durable,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_every_event_has_a_stream():
    assert {kind.stream for kind in EVENTS} == {stream.name for stream in STREAMS}


def test_no_two_streams_share_a_subject():
    subjects = [subject for stream in STREAMS for subject in subjects_of(stream, "p")]
    assert len(set(subjects)) == len(subjects)


async def test_declaring_again_changes_nothing_and_loses_nothing(bus):
    await bus.publish_raw("carbonshift.tick.caiso", b"x")
    await declare_streams(bus.settings)
    assert await bus.count("TICKS") == 1


async def test_declaring_mends_what_drifted(bus):
    async with bare_client(bus.settings) as client:
        await client.jetstream().update_stream(StreamConfig(name="CARBONSHIFT_TICKS", subjects=["carbonshift.tick.*"]))
    await declare_streams(bus.settings)
    async with bare_client(bus.settings) as client:
        config = (await client.jetstream().stream_info("CARBONSHIFT_TICKS")).config
    kinds = ("tick", "dayahead", "provided", "fuelmix")
    assert config.subjects == [f"carbonshift.{kind}.*" for kind in kinds]


async def test_two_prefixes_live_on_one_server(bus):
    await declare_streams(Settings(nats_url=bus.url, subject_prefix="acme.grid"))
    async with bare_client(bus.settings) as client:
        names = {info.config.name for info in await client.jetstream().streams_info()}
    assert {stream_name("TICKS", "carbonshift"), "ACME_GRID_TICKS"} <= names


@pytest.mark.parametrize("durable", DURABLES, ids=lambda durable: durable.name)
async def test_durables_keep_the_order_with_one_message_in_hand(bus, durable: Durable):
    async with bare_client(bus.settings) as client:
        info = await client.jetstream().consumer_info(stream_name(durable.stream, "carbonshift"), durable.name)
    asked = info.config.filter_subjects or [info.config.filter_subject]
    assert (info.config.max_ack_pending, asked) == (1, [kind.subjects("carbonshift") for kind in durable.kinds])


async def test_whoever_reads_ticks_is_not_sent_the_fuel_mix(bus):
    mix = FuelMix(region="a", source="b", interval_start=NOON, interval_seconds=300, power_w={Fuel.GAS: 1.0})
    await bus.publish(mix)
    async with bare_client(bus.settings) as client:
        for durable in DURABLES:
            if durable.stream == FuelMix.stream:
                name = stream_name(durable.stream, "carbonshift")
                assert (await client.jetstream().consumer_info(name, durable.name)).num_pending == 0
    assert await bus.count(FuelMix.stream) == 1


def test_a_site_has_a_work_queue_of_its_own():
    assert token_durable("berlin").filter_subjects("p") == ["p.token.berlin"]
