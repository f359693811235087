"""Decides event by event and keeps what the next decision needs. Every judgement is in the pure modules it calls."""

import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy

from carbonshift.common.broker import Outlet
from carbonshift.common.errors import InputError, TransientError
from carbonshift.common.events import (
    DayAheadPrices,
    Event,
    GridForecast,
    GridState,
    GridTick,
    JobStatus,
    PowerTarget,
    WorkerTelemetry,
)
from carbonshift.common.readback import events_of
from carbonshift.common.streams import stream_name
from carbonshift.decide.flexibility import flexibility
from carbonshift.decide.histories import Histories, Past
from carbonshift.decide.job_desk import JobDesk
from carbonshift.decide.machine import step
from carbonshift.decide.planning.outlook import Outlook
from carbonshift.decide.policy import JobPolicy
from carbonshift.decide.rebuild import rebuild
from carbonshift.decide.regional import Regional
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.snapshot import Snapshot
from carbonshift.decide.snapshots import Snapshots
from carbonshift.decide.token_desk import SILENT_DEVICE_SECONDS, Heard, TokenDesk

__all__ = ["Decider"]

E = TypeVar("E", bound=Event)

CLOCKS_APART = timedelta(minutes=5)

log = logging.getLogger(__name__)


class Decider:
    """All regions and sites of one decide."""

    def __init__(self, settings: DecideSettings, outlet: Outlet) -> None:
        """Nothing heard yet.

        Raises: InputError where the policy is not installed, or cannot be used.
        """
        self._settings, self._outlet = settings, outlet
        self._regional = Regional(settings)
        self._histories = Histories()
        self._delivery = 0
        self.tokens, self.jobs = TokenDesk(settings), JobDesk()

    async def refill(self, jetstream: JetStreamContext) -> None:
        """Take up what an earlier decide has left."""
        self._histories, self._delivery = await rebuild(jetstream, self._settings, planning=self._regional.planning)
        await self._hear_the_fleet(jetstream)

    async def on_event(self, event: GridTick | DayAheadPrices, message: Msg, jetstream: JetStreamContext) -> None:
        """Decide on a tick, or take published prices in."""
        number = message.metadata.sequence.consumer
        if number != self._delivery + 1:  # another decide has taken some
            self._histories, _ = await rebuild(jetstream, self._settings, planning=self._regional.planning)
        self._delivery = number
        if isinstance(event, GridTick):
            _refuse_future(event)
        past = self._histories.of(event)
        if isinstance(event, GridTick):
            await self._decide(event, past)
        elif self._regional.planning:
            past.hear(event, self._settings.for_region(event.region).time_zone)
        if past.falls_due:
            await self._put_aside(past, message, jetstream)
        for key in self._histories.forget_old(event.region):
            await (await Snapshots.of(jetstream, self._settings)).drop(key)

    def on_forecast(self, forecast: GridForecast) -> None:
        """Take a forecast in, where its history is followed."""
        past = self._histories.known(forecast)
        if past and past.outlook:
            past.outlook.hear_forecast(forecast)

    async def _decide(self, tick: GridTick, past: Past) -> None:
        policy, own = self._regional.of(tick.region)
        memory, transition, state = step(past.memory, tick, policy, own)
        if self._regional.planning:
            past.hear(tick, own.time_zone)
        if state:
            for event in list(self._answers(tick, state, past.outlook)):  # before the first await: jobs come and go
                await self._publish_answer(event)
            if transition:
                await self._outlet.publish(transition)
            await self._outlet.publish(state)  # last: it is the record that this tick is decided
        past.memory = memory  # after the effect: a redelivered tick is decided again from the same past

    async def _publish_answer(self, event: Event) -> None:
        """What cannot be stored at all, a plan that is too large say, does not keep the state from its region."""
        try:
            await self._outlet.publish(event)
        except TransientError:
            raise
        except Exception:
            log.exception("%s cannot be published", event.id)

    def _answers(self, tick: GridTick, state: GridState, outlook: Outlook | None) -> Iterator[Event]:
        policy, own = self._regional.of(tick.region)
        now, wall = time.monotonic(), datetime.now(UTC)
        sites = self.tokens.sites_of(tick.region, now)
        planned: dict[str, bool] = {}
        if outlook and isinstance(policy, JobPolicy):
            for plan in self.jobs.plans(tick, state, outlook, policy, _ceilings_w(sites), own):
                planned[plan.job] = plan.modes[0] != "paused"
                yield plan
        if tick.replay and tick.replay.speed is None:
            return  # as fast as it goes: nobody can keep up with tokens and offers
        yield from self.tokens.issue(tick, state, planned, now, wall)
        for site, devices in sites.items():
            yield flexibility(site, tick, devices, self.jobs, outlook, own)

    async def _put_aside(self, past: Past, message: Msg, jetstream: JetStreamContext) -> None:
        metadata = message.metadata
        snapshot = Snapshot(past=past, sequence=metadata.sequence.stream, stored_at=metadata.timestamp)
        try:
            await (await Snapshots.of(jetstream, self._settings)).put(snapshot)
        except (NatsError, TimeoutError) as error:  # the tick is decided all the same
            log.warning("the past of %s is put aside later: %s", past.key, error or type(error).__name__)
        else:
            past.put_aside_day = past.day

    async def _hear_the_fleet(self, jetstream: JetStreamContext) -> None:
        """What each device, job and operator last said, as long as it counts: no watt is promised to two."""
        wall, settings = datetime.now(UTC), self._settings
        async for message, telemetry in _stored(jetstream, settings, WorkerTelemetry, DeliverPolicy.LAST_PER_SUBJECT):
            age_seconds = (wall - message.metadata.timestamp).total_seconds()
            if age_seconds < SILENT_DEVICE_SECONDS:
                self.tokens.heard(telemetry, time.monotonic() - age_seconds)
        async for _, status in _stored(jetstream, settings, JobStatus, DeliverPolicy.LAST_PER_SUBJECT):
            self.jobs.heard(status)
        async for _, target in _stored(jetstream, settings, PowerTarget, DeliverPolicy.ALL):
            self.tokens.targeted(target, wall)


def _refuse_future(tick: GridTick) -> None:
    """Raise InputError for a live tick that has not begun yet: taken in, it would silence its region until it does."""
    latest = datetime.now(UTC) + CLOCKS_APART + timedelta(seconds=tick.interval_seconds)
    if tick.replay is None and tick.interval_start > latest:
        raise InputError(f"{tick.id} has not begun yet", "see to the clock of its source, or mark it as a replay")


def _ceilings_w(sites: Mapping[str, Sequence[Heard]]) -> dict[str, list[float]]:
    """What each board of a job may draw at most."""
    found: dict[str, list[float]] = {}
    for devices in sites.values():
        for device in devices:
            if device.job:
                found.setdefault(device.job, []).append(device.draw.ceiling_w)
    return found


def _stored(
    jetstream: JetStreamContext, settings: DecideSettings, kind: type[E], deliver: DeliverPolicy
) -> AsyncIterator[tuple[Msg, E]]:
    stream = stream_name(kind.stream, settings.subject_prefix)
    return events_of(jetstream, kind, stream, kind.subjects(settings.subject_prefix), deliver)
