"""Reads back from the broker the ticks that were handled before the service stopped."""

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from carbonshift.common.events import GridTick
from carbonshift.common.events.replay import mark
from carbonshift.common.streams import stream_name
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["refill"]

READ_TIMEOUT_SECONDS = 10.0
BATCH = 500


async def refill(jetstream: JetStreamContext, settings: ForecastSettings) -> list[GridTick]:
    """The acknowledged ticks of every region's newest run, oldest first: its window at least, where there is as much.

    What comes after the last acknowledged tick is not among them: the durable still delivers that.

    Raises: TimeoutError, nats.errors.Error where the broker does not answer.
    """
    prefix = settings.subject_prefix
    stream = stream_name(GridTick.stream, prefix)
    consumer = await jetstream.consumer_info(stream, settings.service)
    acknowledged = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    if acknowledged == 0:
        return []
    state = (await jetstream.stream_info(stream, subjects_filter=GridTick.subjects(prefix))).state
    ticks: list[GridTick] = []
    for subject in sorted(state.subjects or {}):
        ticks += await _window(jetstream, stream, subject, state.first_seq, acknowledged, settings)
    return ticks


async def _window(
    jetstream: JetStreamContext,
    stream: str,
    subject: str,
    first: int,
    acknowledged: int,
    settings: ForecastSettings,
) -> list[GridTick]:
    """The ticks of one region's newest run; looks back twice as far until they fill the window."""
    span = BATCH
    while True:
        since = max(first, acknowledged - span + 1, 1)
        ticks = await _read(jetstream, stream, subject, since, acknowledged)
        own = [tick for tick in ticks if mark(tick.replay) == mark(ticks[-1].replay)]
        covered = bool(own) and (own[-1].interval_end - own[0].interval_start).total_seconds()
        if since <= first or covered >= settings.history_seconds or len(own) < len(ticks):
            return own
        span *= 2


async def _read(jetstream: JetStreamContext, stream: str, subject: str, since: int, until: int) -> list[GridTick]:
    """The ticks on `subject` with since <= sequence <= until."""
    subscription = await jetstream.pull_subscribe(
        subject,
        stream=stream,
        config=ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=since,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
        ),
    )
    ticks: list[GridTick] = []
    try:
        pending = (await subscription.consumer_info()).num_pending or 0  # nothing is delivered before it is fetched
        while pending:
            for message in await subscription.fetch(min(BATCH, pending), timeout=READ_TIMEOUT_SECONDS):
                pending = message.metadata.num_pending
                if message.metadata.sequence.stream > until:
                    return ticks
                tick = _parsed(message.data)
                if tick:
                    ticks.append(tick)
    finally:
        await subscription.unsubscribe()
    return ticks


def _parsed(body: bytes) -> GridTick | None:
    try:
        return GridTick.model_validate_json(body)
    except ValueError:
        return None  # it lies in the dlq
