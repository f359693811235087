"""The streams and durables of JetStream, declared here and nowhere else."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from faststream.nats import JStream
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ObjectStoreConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BucketNotFoundError, NotFoundError
from nats.js.object_store import ObjectStore

from carbonshift.common.client import bare_client
from carbonshift.common.errors import BrokerUnreachableError
from carbonshift.common.events import (
    EVENTS,
    DayAheadPrices,
    Event,
    GridTick,
    GridTransition,
    ProvidedForecast,
    ResumeToken,
)
from carbonshift.common.outage import is_outage
from carbonshift.common.settings import Settings

__all__ = [
    "DURABLES",
    "STREAMS",
    "Durable",
    "Stream",
    "declare_streams",
    "object_store",
    "stream_name",
    "stream_of",
    "token_durable",
]

DAY_SECONDS = 86_400.0
ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream: which events it holds follows from the events' own `stream`."""

    name: str
    max_age_seconds: float
    """By the clock on the wall: a replayed year is as young as its replay."""
    max_bytes: int
    """JetStream sets so much of the disk aside, 1.2 GiB in all; beyond it the oldest messages go."""
    retention: RetentionPolicy = RetentionPolicy.LIMITS
    duplicate_window_seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """One durable consumer: exactly ordered, one message at a time, redelivered with a bound."""

    name: str
    kinds: tuple[type[Event], ...]
    """Of one stream: they come in the order in which it stored them."""
    ack_wait_seconds: float = 10.0
    """What a message waits for when its consumer was killed; outlasts a leader election (5 s). A handler that takes
    longer sees its message twice, which every handler bears."""
    max_ack_pending: int = 1
    filters: Mapping[str, str] = field(default_factory=dict)
    """Fields of the address that must have this value; the others may have any."""

    @property
    def stream(self) -> str:
        """Name of the stream it reads, without the prefix."""
        return self.kinds[0].stream

    def filter_subjects(self, prefix: str) -> list[str]:
        """The subjects or wildcards it takes messages from."""
        return [".".join((prefix, *(self._token(token) for token in kind.address.split(".")))) for kind in self.kinds]

    def _token(self, token: str) -> str:
        return self.filters.get(token.strip("{}"), "*") if "{" in token else token


STREAMS: tuple[Stream, ...] = (
    Stream(name="TICKS", max_age_seconds=400 * DAY_SECONDS, max_bytes=256 << 20),
    Stream(name="STATES", max_age_seconds=400 * DAY_SECONDS, max_bytes=256 << 20),
    Stream(name="FORECASTS", max_age_seconds=35 * DAY_SECONDS, max_bytes=128 << 20),
    Stream(name="NARRATIVES", max_age_seconds=400 * DAY_SECONDS, max_bytes=64 << 20),
    Stream(name="JOBS", max_age_seconds=35 * DAY_SECONDS, max_bytes=64 << 20),
    Stream(name="TOKENS", max_age_seconds=3_600.0, max_bytes=16 << 20, retention=RetentionPolicy.WORK_QUEUE),
    Stream(name="TARGETS", max_age_seconds=35 * DAY_SECONDS, max_bytes=16 << 20),
    Stream(name="WORKERS", max_age_seconds=35 * DAY_SECONDS, max_bytes=128 << 20),
    Stream(name="TELEMETRY", max_age_seconds=7 * DAY_SECONDS, max_bytes=256 << 20),
    Stream(name="DLQ", max_age_seconds=35 * DAY_SECONDS, max_bytes=64 << 20),
)

DURABLES: tuple[Durable, ...] = (
    Durable(name="decide", kinds=(GridTick, DayAheadPrices)),
    Durable(name="forecast", kinds=(GridTick, DayAheadPrices, ProvidedForecast)),
    Durable(name="explain", kinds=(GridTransition,)),
)


def token_durable(site: str) -> Durable:
    """The work queue of one site: its workers share it, and each token goes to one of them.

    A token that its holder neither acknowledges nor extends within `ack_wait_seconds` goes to another.
    """
    return Durable(
        name=f"tokens-{site}",
        kinds=(ResumeToken,),
        max_ack_pending=1_000,
        ack_wait_seconds=15.0,
        filters={"site": site},
    )


MAX_DELIVER = 8
"""Deliveries after which a message that keeps failing becomes a dead letter."""


def stream_name(name: str, prefix: str) -> str:
    """The stream's name on the server: two prefixes live side by side."""
    return f"{prefix.replace('.', '_').upper()}_{name}"


def stream_of(kind: type[Event], prefix: str) -> JStream:
    """The stream that stores `kind`, for FastStream: known by name, never changed by a service."""
    return JStream(stream_name(kind.stream, prefix), declare=False)


def subjects_of(stream: Stream, prefix: str) -> list[str]:
    """Every subject the stream captures; the dlq also keeps what the server says of deliveries it gave up."""
    subjects = [kind.subjects(prefix) for kind in EVENTS if kind.stream == stream.name]
    if stream.name == "DLQ":
        names = {stream_name(read, prefix) for read in {*(durable.stream for durable in DURABLES), ResumeToken.stream}}
        subjects += [f"{ADVISORY}.{name}.*" for name in sorted(names)]
    return subjects


def stream_configs(settings: Settings) -> Iterator[StreamConfig]:
    """The wanted configuration of every stream."""
    for stream in STREAMS:
        yield StreamConfig(
            name=stream_name(stream.name, settings.subject_prefix),
            subjects=subjects_of(stream, settings.subject_prefix),
            retention=stream.retention,
            storage=StorageType.FILE,
            max_age=stream.max_age_seconds,
            max_bytes=stream.max_bytes,
            duplicate_window=stream.duplicate_window_seconds,
            num_replicas=settings.stream_replicas,
            allow_direct=True,
        )


async def declare_streams(settings: Settings, more: Sequence[Durable] = ()) -> None:
    """Create or update every stream, every durable and `more`; idempotent, so each service calls it as it starts.

    Raises: BrokerUnreachableError where the server refuses, or does not answer.
    """
    async with bare_client(settings) as client:
        jetstream = client.jetstream(timeout=5)
        try:
            for config in stream_configs(settings):
                await _settled(partial(_declare_stream, jetstream, config))
            for durable in (*DURABLES, *more):
                await _settled(partial(_declare_durable, jetstream, durable, settings))
        except (NatsError, TimeoutError) as error:
            problem = getattr(error, "description", None) or str(error) or type(error).__name__
            raise BrokerUnreachableError(
                f"the broker does not take the streams of CarbonShift: {problem}",
                "it needs JetStream, 1.3 GiB of free store and leave to create streams; the embedded one tells more in"
                " broker/nats-server.log of the state folder, where a damaged store can be moved away",
            ) from error


async def _declare_stream(jetstream: JetStreamContext, wanted: StreamConfig) -> None:
    try:
        await jetstream.stream_info(wanted.name or "")
    except NotFoundError:
        await jetstream.add_stream(wanted)
    else:
        await jetstream.update_stream(wanted)


async def _declare_durable(jetstream: JetStreamContext, durable: Durable, settings: Settings) -> None:
    """A durable that exists keeps its old settings whatever the code says, so it is written each time."""
    await jetstream.add_consumer(
        stream_name(durable.stream, settings.subject_prefix),
        ConsumerConfig(
            durable_name=durable.name,
            filter_subjects=durable.filter_subjects(settings.subject_prefix),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=durable.ack_wait_seconds,
            max_ack_pending=durable.max_ack_pending,
            max_deliver=MAX_DELIVER + 2,  # the middleware gives up first; beyond it the server says so in the DLQ
        ),
    )


async def object_store(jetstream: JetStreamContext, name: str, ttl_seconds: float, settings: Settings) -> ObjectStore:
    """The object store of that name, made where it is missing: for what is too large for a message."""
    bucket = stream_name(name, settings.subject_prefix)
    try:
        return await jetstream.object_store(bucket)
    except BucketNotFoundError:
        return await jetstream.create_object_store(
            bucket, ObjectStoreConfig(ttl=ttl_seconds, replicas=settings.stream_replicas)
        )


async def _settled(call: Callable[[], Awaitable[None]], attempts: int = 20) -> None:
    """Repeat while a new cluster has no leader yet, or another service declares the very same."""
    for attempt in range(attempts):
        try:
            await call()
        except (NatsError, TimeoutError) as error:
            if attempt == attempts - 1 or not is_outage(error):
                raise
            await asyncio.sleep(0.25)
        else:
            return
