"""A service on its broker, seen from outside: what all services have in common, in the one place that has it."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from faststream import FastStream
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry, ProcessCollector

from carbonshift.common.broker import connect
from carbonshift.common.http_endpoint import answering, listening
from carbonshift.common.reach import reach_broker
from carbonshift.common.ready_gauge import ReadyGauge
from carbonshift.common.settings import Settings
from carbonshift.common.streams import Durable, declare_streams

__all__ = ["Service"]

PING_SECONDS = 1
"""How long the broker may take to answer before it counts as away."""


class Service(FastStream):
    """Reaches its broker, declares the streams, subscribes; tells over HTTP how far it has come, where it is told to.

    What it counts it registers in `registry`.
    """

    def __init__(self, settings: Settings, *, durables: Sequence[Durable] = (), no_echo: bool = False) -> None:
        """Not yet started.

        Args:
            settings: the service's own.
            durables: to be declared beside those of every service.
            no_echo: a core subscription does not hear what this service itself publishes.
        """
        self.registry = CollectorRegistry()
        self._settings, self._durables = settings, durables
        self._nats = connect(settings, self.registry, no_echo=no_echo)
        self._client: Client | None = None
        self._declared = self._subscribed = False
        ProcessCollector(registry=self.registry)
        self.registry.register(ReadyGauge(lambda: self.parts))
        logger = logging.getLogger(f"carbonshift.{settings.service}")
        super().__init__(self._nats, logger=logger, lifespan=self._answering)

    @property
    def broker(self) -> NatsBroker:
        """Its connection."""
        return self._nats

    @property
    def parts(self) -> dict[str, bool]:
        """What it takes to do its work, and whether that is there as far as is known without asking."""
        return {
            "broker": self._client is not None and self._client.is_connected,
            "streams": self._declared,
            "subscribers": self._subscribed,
        }

    async def missing(self) -> list[str]:
        """What it still lacks; the broker is asked: a connection may look sound long after its other end has gone."""
        there = self.parts
        if there["broker"] and self._client:
            try:
                await self._client.flush(PING_SECONDS)
            except (NatsError, OSError, TimeoutError):
                there["broker"] = False
        return [part for part, is_there in there.items() if not is_there]

    async def start(self, **run_extra_options: Any) -> None:
        """Start; with the option `wait` a broker that does not answer is waited for.

        Raises: BrokerUnreachableError where there is none, or it does not take the streams.
        """
        wait = bool(run_extra_options.get("wait"))
        await reach_broker(self._settings, wait=wait, progress=logging.getLogger("carbonshift").warning)
        await declare_streams(self._settings, self._durables)
        self._declared = True
        await super().start()
        self._client = self._nats.connection
        self._subscribed = True

    async def stop(self) -> None:
        """Stop: no longer ready from the first moment on."""
        self._subscribed = False
        await super().stop()
        self._client = None

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        if self._settings.http_port is None:
            yield
            return
        listener = listening(self._settings.http_host, self._settings.http_port)
        async with answering(listener, self.registry, self.missing):
            yield
