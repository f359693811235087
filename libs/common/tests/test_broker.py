"""A service's connection: what fails for good lies in the dlq with its error, what fails for now comes again."""

import asyncio
import base64
import os
import signal
from datetime import timedelta

from faststream import AckPolicy
from faststream.nats import PullSub

from carbonshift.common.broker import Outlet
from carbonshift.common.errors import TransientError
from carbonshift.common.events import CarbonBasis, DeadLetter, GridTick, PriceMarket, Quality
from carbonshift.common.service import Service as CommonService
from carbonshift.common.settings import Settings
from carbonshift.common.streams import stream_of


class DecideSettings(Settings):
    service = "decide"


def tick(start) -> GridTick:
    return GridTick(
        region="caiso",
        interval_start=start,
        interval_seconds=300,
        price_usd_per_mwh=1.0,
        carbon_g_per_kwh=1.0,
        carbon_basis=CarbonBasis.AVERAGE,
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="test",
        carbon_source="test",
        observed_at=start,
    )


class Service:
    """A service of one handler, which fails as the test asks."""

    def __init__(self, url, errors=()):
        self.settings = DecideSettings(nats_url=url)
        self.errors = list(errors)
        self.seen: list[GridTick] = []
        self.arrived = asyncio.Event()
        self.app = CommonService(self.settings)
        broker = self.app.broker
        self.outlet = Outlet(broker, self.settings, GridTick)

        @broker.subscriber(
            GridTick.subjects("carbonshift"),
            stream=stream_of(GridTick, "carbonshift"),
            durable="decide",
            pull_sub=PullSub(timeout=1),
            ack_policy=AckPolicy.NACK_ON_ERROR,
        )
        async def on_tick(event: GridTick) -> None:
            if self.errors:
                raise self.errors.pop(0)
            self.seen.append(event)
            self.arrived.set()

        self.started = asyncio.Event()
        self.app.after_startup(self.started.set)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.app.run())
        await asyncio.wait_for(self.started.wait(), 20)
        return self

    async def __aexit__(self, *_):
        self.app.exit()
        await self.task


async def test_rubbish_goes_to_the_dlq_and_the_service_goes_on(bus, noon):
    async with Service(bus.url) as service:
        await bus.publish_raw("carbonshift.tick.caiso", b"{not json")
        await bus.publish_raw("carbonshift.tick.caiso", b'{"region": "caiso"}')
        await bus.publish(tick(noon))
        await asyncio.wait_for(service.arrived.wait(), 20)
        letters = await bus.collect(DeadLetter, when=lambda found: len(found) == 2)
    assert [base64.b64decode(letter.payload_base64) for letter in letters] == [b"{not json", b'{"region": "caiso"}']
    assert {letter.source_subject for letter in letters} == {"carbonshift.tick.caiso"}
    assert all(letter.error and letter.deliveries == 1 for letter in letters)


async def test_a_transient_error_is_tried_again_and_leaves_no_letter(bus, noon):
    async with Service(bus.url, [TransientError("away", "wait"), ConnectionError()]) as service:
        await bus.publish(tick(noon))
        await asyncio.wait_for(service.arrived.wait(), 20)
    assert service.seen == [tick(noon)]
    assert await bus.count("DLQ") == 0


async def test_an_error_of_ours_is_buried_at_once(bus, noon):
    later = noon + timedelta(minutes=5)
    async with Service(bus.url, [RuntimeError("boom")]) as service:
        await bus.publish(tick(noon), tick(later))
        await asyncio.wait_for(service.arrived.wait(), 20)
        (letter,) = await bus.collect(DeadLetter, when=lambda found: len(found) == 1)
    assert (letter.error, letter.source_sequence, letter.service) == ("RuntimeError: boom", 1, "decide")
    assert service.seen == [tick(later)]


async def test_an_event_published_twice_is_stored_once(bus, noon):
    async with Service(bus.url) as service:
        await service.outlet.publish(tick(noon))
        await service.outlet.publish(tick(noon))
        await asyncio.wait_for(service.arrived.wait(), 20)
    assert await bus.count("TICKS") == 1


async def test_a_message_outside_any_stream_that_cannot_be_read_is_buried_too(bus, noon):
    service = Service(bus.url)

    @service.app.broker.subscriber("loose.subject")
    async def on_loose(event: GridTick) -> None:
        """Never reached by rubbish."""

    async with service:
        await service.app.broker.publish(b"rubbish", "loose.subject")
        (letter,) = await bus.collect(DeadLetter, when=lambda found: len(found) == 1)
    assert (letter.source_subject, letter.source_stream) == ("loose.subject", "")


async def test_a_service_leaves_a_broker_that_hangs(bus, tmp_path):
    (ports,) = (tmp_path / "broker" / "ports").iterdir()
    pid = int(ports.stem.rpartition("_")[2])
    try:
        async with Service(bus.url) as service:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.wait_for(service.app.broker.stop(), 10)
    finally:
        os.kill(pid, signal.SIGCONT)
