"""Refills decide's memories from the streams: the last states, and the acknowledged ticks of their windows."""

from datetime import datetime, timedelta

from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy
from nats.js.errors import NotFoundError

from carbonshift.common.events import GridState, GridTick
from carbonshift.common.events.replay import mark
from carbonshift.common.readback import events_of
from carbonshift.common.streams import stream_name
from carbonshift.decide.machine import RegionMemory, remembered
from carbonshift.decide.memories import Memories
from carbonshift.decide.settings import DecideSettings

__all__ = ["rebuild"]


async def rebuild(jetstream: JetStreamContext, settings: DecideSettings) -> tuple[Memories, int]:
    """The memories as they were after the last acknowledged tick, and the number of its delivery.

    A state is published before its tick is acknowledged, so a tick that decide died on comes again and finds its
    state already there. Whoever is handed a tick whose delivery is not the next has to rebuild: another decide has
    taken some.
    """
    prefix = settings.subject_prefix
    ticks, states = stream_name(GridTick.stream, prefix), stream_name(GridState.stream, prefix)
    consumer = await jetstream.consumer_info(ticks, settings.service)
    acknowledged = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    subjects = (await jetstream.stream_info(states, subjects_filter=GridState.subjects(prefix))).state.subjects or {}
    memories = Memories()
    for subject in subjects:
        try:
            message = await jetstream.get_last_msg(states, subject)
        except NotFoundError:
            continue
        newest = GridState.model_validate_json(message.data or b"")
        heard = await _window(jetstream, ticks, newest, acknowledged, settings)
        if not heard:
            memories.keep(newest, RegionMemory(state=newest))
            continue
        last = {
            mark(state.replay): state
            async for _, state in events_of(
                jetstream, GridState, states, subject, DeliverPolicy.BY_START_TIME, opt_start_time=heard[0][0]
            )
        }
        rank = {mark(tick.replay): number for number, (_, tick) in enumerate(heard)}
        for name, state in sorted(last.items(), key=lambda item: rank.get(item[0], -1)):
            memory = RegionMemory(state=state)
            for _, tick in heard:
                if mark(tick.replay) == name:
                    memory = remembered(memory, tick, settings)
            memories.keep(state, memory)
    return memories, consumer.ack_floor.consumer_seq if consumer.ack_floor else 0


async def _window(
    jetstream: JetStreamContext, stream: str, newest: GridState, acknowledged: int, settings: DecideSettings
) -> list[tuple[datetime, GridTick]]:
    """The region's acknowledged ticks with the moments they were stored, oldest first.

    Looks back until the window of every history in it is whole, or the stream ends.
    """
    subject = f"{settings.subject_prefix}.tick.{newest.region}"
    first_seq = (await jetstream.stream_info(stream)).state.first_seq
    span = int(2 * settings.window_seconds / newest.interval_seconds) + 1
    while True:
        from_seq = max(first_seq, acknowledged - span, 1)
        heard = [
            (message.metadata.timestamp, tick)
            async for message, tick in events_of(
                jetstream, GridTick, stream, subject, DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=from_seq
            )
            if message.metadata.sequence.stream <= acknowledged
        ]
        starts: dict[str, list[datetime]] = {}
        for _, tick in heard:
            starts.setdefault(mark(tick.replay), []).append(tick.interval_start)
        window = timedelta(seconds=settings.window_seconds)
        whole = mark(newest.replay) in starts and all(max(own) - min(own) >= window for own in starts.values())
        if from_seq <= first_seq or whole:
            return heard
        span *= 2
