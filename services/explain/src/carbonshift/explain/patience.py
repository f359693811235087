"""Tells the broker, while something takes its time, that its message is still being worked on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from nats.errors import Error as NatsError

__all__ = ["patience"]


@asynccontextmanager
async def patience(alive: Callable[[], Awaitable[None]], every_seconds: float) -> AsyncIterator[None]:
    """`alive` is called at once and then each `every_seconds` until the block is left.

    A broker that is away is not told: it gives the message out again, and whoever gets it sees what was made of it.
    """

    async def tell() -> None:
        while True:
            with suppress(NatsError, OSError):
                await alive()
            await asyncio.sleep(every_seconds)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait([telling])
