"""Whether a broker answers, asked before anything else is started."""

import asyncio
from collections.abc import Callable

import nats
from nats.errors import Error as NatsError

from carbonshift.common.errors import BrokerUnreachableError
from carbonshift.common.settings import Settings

__all__ = ["reach_broker"]

DEADLINE_SECONDS = 4.0


async def reach_broker(
    settings: Settings, *, wait: bool = False, progress: Callable[[str], None] | None = None
) -> None:
    """Return when the broker of `settings` has answered; with `wait` ask for ever and tell `progress` each time.

    Raises: BrokerUnreachableError when it has not answered within 4 s and `wait` is not set.
    """
    urls = ", ".join(_without_secret(url) for url in settings.servers())
    waited = 0.0
    while True:
        problem = await _ask(settings)
        if problem is None:
            return
        waited += DEADLINE_SECONDS
        if not wait:
            raise BrokerUnreachableError(
                f"no NATS broker answers at {urls} ({problem})",
                "start it, correct NATS_URL, or wait for it with --wait; without NATS_URL the embedded one is used",
            )
        if progress:
            progress(f"waiting for the NATS broker at {urls}: {problem}, {waited:.0f} s so far")


async def _ask(settings: Settings) -> str | None:
    """None when it answered, else why not; takes at most the deadline."""
    reasons: list[str] = []

    async def note(error: Exception) -> None:
        reasons.append(str(error) or type(error).__name__)

    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            client = await nats.connect(
                settings.servers(), connect_timeout=2, max_reconnect_attempts=1, reconnect_time_wait=0.5, error_cb=note
            )
            await client.flush(timeout=2)
            await client.close()
    except (NatsError, OSError, TimeoutError, ValueError) as error:
        await asyncio.sleep(max(0.0, 1.0 - (loop.time() - started)))  # a refusal is instant: do not ask in a spin
        return reasons[0] if reasons else str(error) or "no answer"
    return None


def _without_secret(url: str) -> str:
    """The URL without what stands before `@`."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
