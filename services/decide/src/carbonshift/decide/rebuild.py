"""Refills decide's memory from the streams: the last state, and the ticks of its window that were acknowledged."""

from contextlib import suppress
from datetime import timedelta

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from carbonshift.common.events import GridState, GridTick
from carbonshift.common.events.replay import mark
from carbonshift.common.streams import stream_name
from carbonshift.decide.machine import RegionMemory, remembered
from carbonshift.decide.settings import DecideSettings

__all__ = ["rebuild"]

READ_TIMEOUT_SECONDS = 10.0


async def rebuild(jetstream: JetStreamContext, settings: DecideSettings) -> dict[str, RegionMemory]:
    """The memory of every region that has a state, as it was after the last acknowledged tick.

    A state is published before its tick is acknowledged, so a tick that decide died on comes again and finds its
    state already there.
    """
    prefix = settings.subject_prefix
    ticks, states = stream_name(GridTick.stream, prefix), stream_name(GridState.stream, prefix)
    consumer = await jetstream.consumer_info(ticks, settings.service)
    acknowledged = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    subjects = (await jetstream.stream_info(states, subjects_filter=GridState.subjects(prefix))).state.subjects or {}
    memories: dict[str, RegionMemory] = {}
    for subject in subjects:
        try:
            message = await jetstream.get_last_msg(states, subject)
        except NotFoundError:
            continue
        state = GridState.model_validate_json(message.data or b"")
        memory = RegionMemory(state=state)
        for tick in await _window(jetstream, ticks, state, acknowledged, settings):
            memory = remembered(memory, tick, settings)
        memories[state.region] = memory
    return memories


async def _window(
    jetstream: JetStreamContext, stream: str, state: GridState, acknowledged: int, settings: DecideSettings
) -> list[GridTick]:
    """The acknowledged ticks of the state's own history, oldest first; looks back as far as the window needs."""
    first_seq = (await jetstream.stream_info(stream)).state.first_seq
    oldest = state.interval_start - timedelta(seconds=settings.window_seconds)
    span = int(2 * settings.window_seconds / state.interval_seconds) + 1
    while True:
        from_seq = max(first_seq, acknowledged - span, 1)
        ticks = await _read(jetstream, stream, state, from_seq, acknowledged, settings)
        own = [tick for tick in ticks if mark(tick.replay) == mark(state.replay)]
        if from_seq <= first_seq or (own and own[0].interval_start <= oldest) or len(own) < len(ticks):
            return own
        span *= 2


async def _read(
    jetstream: JetStreamContext, stream: str, state: GridState, from_seq: int, to_seq: int, settings: DecideSettings
) -> list[GridTick]:
    """Every tick of the region with from_seq <= sequence <= to_seq."""
    if to_seq < from_seq:
        return []
    subscription = await jetstream.subscribe(
        f"{settings.subject_prefix}.tick.{state.region}",
        stream=stream,
        ordered_consumer=True,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=from_seq),
    )
    ticks: list[GridTick] = []
    try:
        consumer = await subscription.consumer_info()
        delivered = consumer.delivered.consumer_seq if consumer.delivered else 0
        pending = (consumer.num_pending or 0) + delivered  # it may have begun to deliver by now
        while pending:
            message = await subscription.next_msg(timeout=READ_TIMEOUT_SECONDS)
            if message.metadata.sequence.stream > to_seq:
                break
            with suppress(ValueError):  # a malformed one lies in the dlq
                ticks.append(GridTick.model_validate_json(message.data))
            pending = message.metadata.num_pending
    except TimeoutError as error:
        raise TimeoutError(f"the ticks of {state.region} could not be read back from {stream}") from error
    finally:
        await subscription.unsubscribe()
    return ticks
