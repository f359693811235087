"""A digest of each region once its local day is over. Shell."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy

from carbonshift.common.broker import Outlet
from carbonshift.common.client import bare_client
from carbonshift.common.errors import InputError, TransientError
from carbonshift.common.events import Digest, GridState
from carbonshift.common.outage import is_outage
from carbonshift.common.readback import events_of
from carbonshift.common.streams import stream_name
from carbonshift.explain.digest.gather import CLOCKS_APART, gather
from carbonshift.explain.digest.heard import Heard
from carbonshift.explain.digest.span import Span, last_day
from carbonshift.explain.digest.told import digest_of
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
        """By region: up to where its days are told, or have nothing to tell."""
        self._due: dict[str, Span] = {}
        """By region: the day that is to be told next."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()

    def hear(self, state: GridState) -> None:
        """Begin to tell the day before where that is due; returns at once. A replay has no days of its own."""
        if state.replay is not None:
            return
        day = self._over_by(state)
        if day is None or (state.region in self._told and self._told[state.region] >= day.end):
            return
        self._due[state.region] = day
        if state.region not in self._tasks:
            self._tasks[state.region] = asyncio.create_task(self._tell(state.region))

    def _over_by(self, state: GridState) -> Span | None:
        """The last day over; None where that lies ahead of the wall clock, as by a clock that is wrong, or nowhere."""
        try:
            now = state.interval_start + timedelta(seconds=state.interval_seconds)
            day = last_day(now - SETTLED, self._settings.time_zone)
        except (InputError, OverflowError):  # beyond any calendar
            return None
        return day if day.end <= datetime.now(UTC) else None

    async def close(self) -> None:
        """End what is under way: it is begun again by the next service."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, region: str) -> None:
        """Tell what is due; a day that fails is tried again at the next state."""
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
                else:
                    self._told[region] = day.end
        finally:
            del self._tasks[region]

    async def _tell_once(self, jetstream: JetStreamContext, region: str, day: Span) -> None:
        if await self._is_stored(jetstream, region, day):
            return
        heard = Heard(region, day)
        await gather(jetstream, self._settings.subject_prefix, heard)
        if not heard.is_empty:
            await self._outlet.publish(digest_of(heard))

    async def _is_stored(self, jetstream: JetStreamContext, region: str, day: Span) -> bool:
        """Whether this very day is; a replay's digest of it, or one of another span, says nothing of it."""
        prefix = self._settings.subject_prefix
        stored = events_of(
            jetstream,
            Digest,
            stream_name(Digest.stream, prefix),
            f"{prefix}.{Digest.address.format(region=region)}",
            DeliverPolicy.BY_START_TIME,
            opt_start_time=day.end - CLOCKS_APART,
        )
        spans = [(digest.start, digest.end) async for _, digest in stored if digest.replay is None]
        return (day.start, day.end) in spans
