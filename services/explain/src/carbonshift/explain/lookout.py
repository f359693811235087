"""Sees what is around a transition: the fleet's answer, the forecast, the fuel mix, the changes before it. Shell."""

import time
from datetime import datetime, timedelta

from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy

from carbonshift.common.events import FuelMix, GridState, GridTransition, ResumeToken, WorkerTelemetry
from carbonshift.common.readback import events_of
from carbonshift.common.streams import stream_name
from carbonshift.explain.expected import expected_change
from carbonshift.explain.facts import Surroundings
from carbonshift.explain.fleet import Fleet
from carbonshift.explain.fuel_shift import FuelShift, fuel_shifts
from carbonshift.explain.in_time import in_time
from carbonshift.explain.last_stored import forecast_of_run
from carbonshift.explain.recent_changes import RecentChanges

__all__ = ["Lookout", "answer_seconds"]

FORECASTS_SINCE = timedelta(hours=1)
"""Before the transition was stored: an older one is none of that hour."""
MIXES_SINCE = timedelta(hours=3)
"""Before the transition was stored: the mix of an hourly source comes late."""


def answer_seconds(transition: GridTransition, most_seconds: float) -> float:
    """How long its narrative may wait for what the fleet makes of it: in a replay no longer than the interval."""
    replay = transition.state.replay
    if replay is None:
        return most_seconds
    return min(most_seconds, transition.state.interval_seconds / replay.speed) if replay.speed else 0.0


class Lookout:
    """Remembers what is said once, and looks up what the streams hold."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._fleet = Fleet()
        self._changes = RecentChanges()

    def hear(self, event: WorkerTelemetry | ResumeToken | GridState) -> None:
        """Note what a worker says, a token that is handed out, or a state as it begins."""
        self._fleet.hear(event, time.monotonic())

    async def around(
        self, transition: GridTransition, stored_at: datetime, jetstream: JetStreamContext
    ) -> Surroundings:
        """What is known by now.

        Args:
            transition: live or of a replay.
            stored_at: when the stream took it, on the wall clock.
            jetstream: where forecasts and fuel mixes lie.
        Raises: TransientError where the broker does not answer in time.
        """
        replay = transition.state.replay
        forecast = await in_time(
            forecast_of_run(jetstream, self._prefix, transition.region, replay, stored_at - FORECASTS_SINCE)
        )
        return Surroundings(
            expected=expected_change(transition, forecast),
            fleet=self._fleet.answer(transition),
            fuels=await in_time(self._fuels(transition, stored_at, jetstream)) if replay is None else (),
            changes_last_hour=self._changes.count(transition),
        )

    async def _fuels(
        self, transition: GridTransition, stored_at: datetime, jetstream: JetStreamContext
    ) -> tuple[FuelShift, ...]:
        stream = stream_name(FuelMix.stream, self._prefix)
        subject = f"{self._prefix}.{FuelMix.address.format(region=transition.region)}"
        since = stored_at - MIXES_SINCE
        mixes = events_of(jetstream, FuelMix, stream, subject, DeliverPolicy.BY_START_TIME, opt_start_time=since)
        return fuel_shifts([mix async for _, mix in mixes], transition.time)
