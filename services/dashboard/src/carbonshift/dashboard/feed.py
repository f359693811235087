"""Hears every event on the broker: the last of each subject, a stretch of history, then whatever comes.

It only reads. It declares no stream, acknowledges nothing and leaves nothing behind: its consumers are ephemeral, made
anew after each reconnection, and what it hears twice is for `fleet` to see through.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from carbonshift.common.client import bare_client
from carbonshift.common.events import Event, GridState, GridTick, WorkerEvent, WorkerTelemetry
from carbonshift.common.settings import Settings
from carbonshift.common.streams import stream_name

__all__ = ["Feed"]

HISTORY_KINDS: tuple[type[Event], ...] = (GridTick, GridState, WorkerEvent, WorkerTelemetry)
"""Of these the last message of a subject does not say all: the chart has a past, and a worker more than one device."""
HISTORY_REGIONS = 8
"""So many regions may share a stream before the chart of each starts shorter than its full length."""
CHECK_SECONDS = 2.0
"""How often a consumer is asked after: a server that lost it says nothing by itself."""
RETRY_SECONDS = 1.0
WATCH_SECONDS = 0.25
FETCH_MESSAGES = 256
FETCH_SECONDS = 0.5


class Feed:
    """The events of the given kinds, each handed to `hear` with the moment its stream stored it.

    `turned` is called when the connection has come or gone.
    """

    def __init__(
        self,
        settings: Settings,
        kinds: tuple[type[Event], ...],
        history_intervals: int,
        hear: Callable[[Event, datetime], None],
        turned: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._kinds = kinds
        self._history_messages = history_intervals * HISTORY_REGIONS
        self._hear = hear
        self._turned = turned
        self._client: Client | None = None
        self._lost = asyncio.Event()
        self._complaints: dict[str, str] = {}
        self._logger = logging.getLogger(f"carbonshift.{settings.service}")
        self.unreadable_messages = 0
        self.heard_events: Counter[str] = Counter()

    @property
    def connected(self) -> bool:
        """Is there a connection to the broker at this moment?"""
        return self._client is not None and self._client.is_connected

    async def ping(self, timeout_seconds: int) -> bool:
        """Does the broker answer?"""
        if self._client is None or not self._client.is_connected:
            return False
        try:
            await self._client.flush(timeout_seconds)
        except (NatsError, OSError, TimeoutError):
            return False
        return True

    async def run(self) -> None:
        """Connect and hear until cancelled, through every outage."""
        async with bare_client(self._settings) as client, asyncio.TaskGroup() as group:
            self._client = client
            group.create_task(self._watch(client))
            for kind in self._kinds:
                group.create_task(self._follow(client, kind))

    async def _watch(self, client: Client) -> None:
        """Tell when the connection comes or goes; after each reconnection all consumers are made anew."""
        connected, reconnections = False, client.stats["reconnects"]
        while True:
            if connected != client.is_connected:
                connected = client.is_connected
                self._turned()
            if reconnections != client.stats["reconnects"]:
                reconnections = client.stats["reconnects"]
                self._complaints.clear()
                self._lost.set()
                self._lost = asyncio.Event()
            await asyncio.sleep(WATCH_SECONDS)

    async def _follow(self, client: Client, kind: type[Event]) -> None:
        stream = stream_name(kind.stream, self._settings.subject_prefix)
        while not _is_cancelled():
            lost = self._lost
            try:
                await self._listen(client.jetstream(timeout=2), kind, stream, lost)
            except NotFoundError:
                self._complain(stream, "not there yet; whoever writes it declares it", logging.INFO)
            except (NatsError, OSError, TimeoutError) as error:
                self._complain(stream, str(error) or type(error).__name__)
            if not lost.is_set():
                await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, jetstream: JetStreamContext, kind: type[Event], stream: str, lost: asyncio.Event) -> None:
        """Hear `kind` until the connection has been lost; raises where the consumer is gone, or cannot be had."""
        if kind in HISTORY_KINDS:
            await self._catch_up(jetstream, kind, stream)

        async def take(message: Msg) -> None:
            self._take(kind, message)

        subscription = await jetstream.subscribe(
            kind.subjects(self._settings.subject_prefix),
            stream=stream,
            cb=take,
            manual_ack=True,
            flow_control=True,
            idle_heartbeat=5,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                ack_policy=AckPolicy.NONE,
                mem_storage=True,
                num_replicas=1,
                inactive_threshold=30.0,
            ),
        )
        self._complaints.pop(stream, None)
        try:
            while not lost.is_set() and not _is_cancelled():
                try:
                    async with asyncio.timeout(CHECK_SECONDS):
                        await lost.wait()
                except TimeoutError:
                    await subscription.consumer_info()
        finally:
            await subscription.unsubscribe()

    async def _catch_up(self, jetstream: JetStreamContext, kind: type[Event], stream: str) -> None:
        """Hear the end of the stream once."""
        last = (await jetstream.stream_info(stream)).state.last_seq
        history = await jetstream.pull_subscribe(
            kind.subjects(self._settings.subject_prefix),
            stream=stream,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=max(1, last - self._history_messages + 1),
                ack_policy=AckPolicy.NONE,
                mem_storage=True,
                num_replicas=1,
                inactive_threshold=30.0,
            ),
        )
        try:
            waiting = (await history.consumer_info()).num_pending or 0
            while waiting > 0:
                messages = await history.fetch(min(waiting, FETCH_MESSAGES), timeout=FETCH_SECONDS)
                for message in messages:
                    self._take(kind, message)
                waiting -= len(messages)
        except TimeoutError:
            return  # what was counted has been deleted meanwhile
        finally:
            await history.unsubscribe()

    def _take(self, kind: type[Event], message: Msg) -> None:
        try:
            event = kind.model_validate_json(message.data)
        except ValidationError as error:
            self.unreadable_messages += 1
            self._logger.warning("%s: no valid %s, not shown: %s", message.subject, kind.__name__, error)
            return
        self.heard_events[kind.kind] += 1
        self._hear(event, message.metadata.timestamp)

    def _complain(self, about: str, problem: str, level: int = logging.WARNING) -> None:
        """Log a problem once, not once a second."""
        if self._complaints.get(about) != problem:
            self._complaints[about] = problem
            self._logger.log(level, "%s: %s", about, problem)


def _is_cancelled() -> bool:
    """Whether this task was, though what it waited for may have swallowed it: Python's wait_for does now and then."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
