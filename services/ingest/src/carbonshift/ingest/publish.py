"""Puts events into the streams over a bare connection: confirmed, in order, repeated through outages."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from nats.js import JetStreamContext

from carbonshift.common.events import Event, headers
from carbonshift.common.outage import is_outage
from carbonshift.common.settings import Settings
from carbonshift.common.streams import stream_name

__all__ = ["Publisher"]

PAUSE_SECONDS = 0.5
logger = logging.getLogger("carbonshift.ingest")


class Publisher:
    """Publishes for ingest. While the broker is away it repeats, for ever and under the same ids."""

    def __init__(
        self,
        jetstream: JetStreamContext,
        settings: Settings,
        stored: Callable[[Sequence[Event]], None] = lambda _: None,
    ) -> None:
        """Publish by `jetstream`; `stored` is called with what has been."""
        self._jetstream = jetstream
        self._settings = settings
        self._stored = stored

    async def publish(self, events: Sequence[Event]) -> None:
        """Store `events` in their order; together in flight, since one connection keeps what is written in order.

        Raises: nats.js.errors.APIError where the server refuses one for good.
        """
        remaining = list(events)
        while remaining:
            outcomes = await asyncio.gather(*map(self._store, remaining), return_exceptions=True)
            failed = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)]
            if not failed:
                self._stored(events)
                return
            error = outcomes[failed[0]]
            assert isinstance(error, BaseException)  # noqa: S101
            if not is_outage(error):
                raise error
            remaining = remaining[failed[0] :]  # what was stored behind it is dropped by its id
            logger.warning("the broker is away (%s): %d events wait", error or type(error).__name__, len(remaining))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _store(self, event: Event) -> None:
        await self._jetstream.publish(
            event.subject(self._settings.subject_prefix),
            event.model_dump_json().encode(),
            timeout=5.0,
            stream=stream_name(event.stream, self._settings.subject_prefix),
            headers={**headers(event, "ingest"), "content-type": "application/json"},
        )
