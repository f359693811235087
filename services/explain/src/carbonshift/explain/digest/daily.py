"""A digest of each region once its local day is over. Shell."""

import asyncio
import logging
from datetime import datetime, timedelta

from nats.js import JetStreamContext

from carbonshift.common.broker import Outlet
from carbonshift.common.client import bare_client
from carbonshift.common.errors import TransientError
from carbonshift.common.events import Digest, GridState
from carbonshift.common.outage import is_outage
from carbonshift.explain.digest.gather import gather
from carbonshift.explain.digest.heard import Heard
from carbonshift.explain.digest.span import Span, last_day
from carbonshift.explain.digest.told import digest_of
from carbonshift.explain.last_stored import last_stored
from carbonshift.explain.settings import ExplainSettings

__all__ = ["SETTLED", "DailyDigests"]

SETTLED = timedelta(minutes=30)
"""Event time after the day's end by which the accounts of its last intervals have come."""

log = logging.getLogger("carbonshift.explain")


class DailyDigests:
    """Notices by the live states that a day is over, and tells it once, beside whatever else the service does."""

    def __init__(self, settings: ExplainSettings, outlet: Outlet) -> None:
        self._settings, self._outlet = settings, outlet
        self._told: dict[str, datetime] = {}
        """By region: up to where its days are told, or are not to be told any more."""
        self._due: dict[str, Span] = {}
        """By region: the day that is to be told next."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()

    def hear(self, state: GridState) -> None:
        """Begin to tell the day before where that is due; returns at once. A replay has no days of its own."""
        if state.replay is not None:
            return
        now = state.interval_start + timedelta(seconds=state.interval_seconds)
        day = last_day(now - SETTLED, self._settings.time_zone)
        if state.region in self._told and self._told[state.region] >= day.end:
            return
        self._due[state.region] = day
        if state.region not in self._tasks:
            self._tasks[state.region] = asyncio.create_task(self._tell(state.region))

    async def close(self) -> None:
        """End what is under way: it is begun again by the next service."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, region: str) -> None:
        """Tell what is due; a day that fails is given up until the service starts again, unless the broker was away."""
        try:
            while day := self._due.pop(region, None):
                try:
                    async with self._one_at_a_time, bare_client(self._settings) as client:
                        await self._tell_once(client.jetstream(), region, day)
                except Exception as error:
                    if isinstance(error, TransientError) or is_outage(error):
                        log.warning("the digest of %s waits for the broker: %s", region, error or type(error).__name__)
                        return
                    log.exception("there is no digest of %s for %s", region, day.day)
                self._told[region] = day.end
        finally:
            del self._tasks[region]

    async def _tell_once(self, jetstream: JetStreamContext, region: str, day: Span) -> None:
        last = await last_stored(jetstream, self._settings.subject_prefix, Digest, region)
        if last is not None and last.end >= day.end:
            return
        heard = Heard(region, day)
        await gather(jetstream, self._settings.subject_prefix, heard)
        if not heard.is_empty:
            await self._outlet.publish(digest_of(heard))
