"""A look into the broker's streams, given up where no answer comes in time. Shell."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from carbonshift.common.errors import TransientError

__all__ = ["in_time"]

LOOKUP_SECONDS = 2.0
T = TypeVar("T")


async def in_time(lookup: Awaitable[T]) -> T:
    """What `lookup` finds.

    Raises: TransientError where that takes more than 2 s.
    """
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            return await lookup
    except TimeoutError as error:
        problem = f"the broker has not answered a look into its streams in {LOOKUP_SECONDS:.0f} s"
        raise TransientError(problem, "is the broker up?") from error
