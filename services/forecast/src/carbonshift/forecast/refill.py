"""Reads back from the broker what was handled before the service stopped."""

from typing import TypeVar

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from carbonshift.common.events import DayAheadPrices, Event, GridTick, ProvidedForecast
from carbonshift.common.events.replay import mark
from carbonshift.common.streams import stream_name
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["refill"]

READ_TIMEOUT_SECONDS = 10.0
BATCH = 500
E = TypeVar("E", bound=Event)


async def refill(
    jetstream: JetStreamContext, settings: ForecastSettings
) -> list[GridTick | DayAheadPrices | ProvidedForecast]:
    """What was acknowledged, for every region: first what was told of its future, then the ticks of its newest run,
    oldest first: its window at least, where there is as much.

    What comes after the last acknowledged message is not among them: the durable still delivers that. Of the
    provider's forecasts it is the newest alone.

    Raises: TimeoutError, nats.errors.Error where the broker does not answer.
    """
    prefix = settings.subject_prefix
    stream = stream_name(GridTick.stream, prefix)
    consumer = await jetstream.consumer_info(stream, settings.service)
    acknowledged = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    if acknowledged == 0:
        return []
    first = (await jetstream.stream_info(stream)).state.first_seq
    events: list[GridTick | DayAheadPrices | ProvidedForecast] = []
    for subject in await _subjects(jetstream, stream, DayAheadPrices, prefix):
        events += await _read(jetstream, stream, subject, DayAheadPrices, first, acknowledged)
    for subject in await _subjects(jetstream, stream, ProvidedForecast, prefix):
        events += await _newest(jetstream, stream, subject)
    for subject in await _subjects(jetstream, stream, GridTick, prefix):
        events += await _window(jetstream, stream, subject, first, acknowledged, settings)
    return events


async def _subjects(jetstream: JetStreamContext, stream: str, kind: type[Event], prefix: str) -> list[str]:
    state = (await jetstream.stream_info(stream, subjects_filter=kind.subjects(prefix))).state
    return sorted(state.subjects or {})


async def _newest(jetstream: JetStreamContext, stream: str, subject: str) -> list[ProvidedForecast]:
    try:
        message = await jetstream.get_last_msg(stream, subject)
    except NotFoundError:
        return []
    event = _parsed(ProvidedForecast, message.data or b"")
    return [event] if event else []


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
        ticks = await _read(jetstream, stream, subject, GridTick, since, acknowledged)
        own = [tick for tick in ticks if mark(tick.replay) == mark(ticks[-1].replay)]
        covered = bool(own) and (own[-1].interval_end - own[0].interval_start).total_seconds()
        if since <= first or covered >= settings.history_seconds or len(own) < len(ticks):
            return own
        span *= 2


async def _read(
    jetstream: JetStreamContext, stream: str, subject: str, kind: type[E], since: int, until: int
) -> list[E]:
    """The events on `subject` with since <= sequence <= until."""
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
    events: list[E] = []
    try:
        pending = (await subscription.consumer_info()).num_pending or 0  # nothing is delivered before it is fetched
        while pending:
            for message in await subscription.fetch(min(BATCH, pending), timeout=READ_TIMEOUT_SECONDS):
                pending = message.metadata.num_pending
                if message.metadata.sequence.stream > until:
                    return events
                event = _parsed(kind, message.data)
                if event:
                    events.append(event)
    finally:
        await subscription.unsubscribe()
    return events


def _parsed(kind: type[E], body: bytes) -> E | None:
    try:
        return kind.model_validate_json(body)
    except ValueError:
        return None  # it lies in the dlq
