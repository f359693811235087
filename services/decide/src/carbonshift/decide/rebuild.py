"""Refills decide's pasts: the snapshot of each, and what its region has heard and decided since."""

import logging
from datetime import UTC, datetime, timedelta

from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy

from carbonshift.common.events import DayAheadPrices, GridState, GridTick
from carbonshift.common.events.replay import mark
from carbonshift.common.readback import events_of
from carbonshift.common.streams import stream_name
from carbonshift.decide.histories import Histories, Past
from carbonshift.decide.machine import RegionMemory, remembered
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.snapshot import Snapshot
from carbonshift.decide.snapshots import Snapshots

__all__ = ["rebuild"]

log = logging.getLogger(__name__)

REPLAY_KEPT = timedelta(days=2)
"""By the clock on the wall: a replay of which no snapshot was taken for so long is over."""
CLOCKS_APART = timedelta(minutes=1)
"""Two streams may have leaders with clocks of their own."""


async def rebuild(jetstream: JetStreamContext, settings: DecideSettings, *, planning: bool) -> tuple[Histories, int]:
    """The histories as they were after the last acknowledged message, and the number of its delivery.

    With `planning` the outlooks too, which only a policy that plans jobs has need of.

    A snapshot is at most a day of event time old, so no more than a day is heard again. A state is published before its
    tick is acknowledged, so a tick that decide died on comes again and finds its state already there. Whoever is handed
    a message whose delivery is not the next has to rebuild: another decide has taken some.
    """
    consumer = await jetstream.consumer_info(stream_name(GridTick.stream, settings.subject_prefix), settings.service)
    acknowledged = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    histories, snapshots = Histories(), await Snapshots.of(jetstream, settings)
    for snapshot in await snapshots.all():
        if snapshot.past.mark and snapshot.stored_at < datetime.now(UTC) - REPLAY_KEPT:
            await snapshots.drop(snapshot.past.key)
            continue
        await _catch_up(jetstream, settings, snapshot, acknowledged, planning=planning)
        histories.keep(snapshot.past)
    return histories, consumer.ack_floor.consumer_seq if consumer.ack_floor else 0


async def _catch_up(
    jetstream: JetStreamContext, settings: DecideSettings, snapshot: Snapshot, acknowledged: int, *, planning: bool
) -> None:
    past, own = snapshot.past, settings.for_region(snapshot.past.region)
    for event in await _heard_since(jetstream, settings, snapshot, acknowledged):
        try:
            if planning:
                past.hear(event, own.time_zone)
            if isinstance(event, GridTick):
                past.memory = remembered(past.memory, event, own)
        except (ArithmeticError, ValueError):  # as when it came: then it went to the dlq
            log.warning("%s is left out of what is heard again", event.id, exc_info=True)
    newest = await _newest_state(jetstream, settings, past, snapshot.stored_at - CLOCKS_APART)
    if newest and (past.memory.state is None or newest.interval_start > past.memory.state.interval_start):
        past.memory = RegionMemory(history=past.memory.history, state=newest)


async def _heard_since(
    jetstream: JetStreamContext, settings: DecideSettings, snapshot: Snapshot, acknowledged: int
) -> list[GridTick | DayAheadPrices]:
    """What the history has heard after its snapshot, in the order of the stream."""
    past, prefix = snapshot.past, settings.subject_prefix
    stream = stream_name(GridTick.stream, prefix)
    kinds: tuple[type[GridTick | DayAheadPrices], ...] = (GridTick, DayAheadPrices)
    heard: list[tuple[int, GridTick | DayAheadPrices]] = []
    for kind in kinds:
        subject = f"{prefix}.{kind.address.format(region=past.region)}"
        async for message, event in events_of(
            jetstream, kind, stream, subject, DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=snapshot.sequence + 1
        ):
            number = message.metadata.sequence.stream
            if number <= acknowledged and mark(event.replay) == past.mark:
                heard.append((number, event))
    return [event for _, event in sorted(heard, key=lambda pair: pair[0])]


async def _newest_state(
    jetstream: JetStreamContext, settings: DecideSettings, past: Past, since: datetime
) -> GridState | None:
    prefix, newest = settings.subject_prefix, None
    async for _, state in events_of(
        jetstream,
        GridState,
        stream_name(GridState.stream, prefix),
        f"{prefix}.{GridState.address.format(region=past.region)}",
        DeliverPolicy.BY_START_TIME,
        opt_start_time=since,
    ):
        if mark(state.replay) == past.mark:
            newest = state
    return newest
