"""A bare NATS connection, for what FastStream's handlers do not cover: reading back, declaring, replaying."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client

from carbonshift.common.settings import Settings

__all__ = ["bare_client"]


@asynccontextmanager
async def bare_client(settings: Settings) -> AsyncIterator[Client]:
    """Connected to the broker of `settings`, reconnecting for ever, closed with the block.

    Without a server it waits for ever: ask `reach_broker` first.
    """
    logger = logging.getLogger(f"carbonshift.{settings.service}")

    async def on_error(error: Exception) -> None:
        logger.warning("broker: %s", error or type(error).__name__)

    client = await nats.connect(
        settings.servers(),
        name=f"carbonshift-{settings.service}",
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.5,
        error_cb=on_error,
    )
    try:
        yield client
    finally:
        await client.close()
