"""Sees what is around a transition: the fleet's answer, the forecast, the fuel mix, the changes before it. Shell."""

from collections import defaultdict
from datetime import datetime, timedelta

from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy

from carbonshift.common.events import FuelMix, GridForecast, GridTransition, ResumeToken, WorkerTelemetry
from carbonshift.common.readback import events_of
from carbonshift.common.streams import stream_name
from carbonshift.explain.expected import expected_change
from carbonshift.explain.facts import Surroundings
from carbonshift.explain.fleet import Fleet
from carbonshift.explain.fuel_shift import FuelShift, fuel_shifts
from carbonshift.explain.last_stored import last_stored

__all__ = ["Lookout", "answer_seconds"]

HOUR = timedelta(hours=1)
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
        self._changes: dict[tuple[str, str | None], dict[str, datetime]] = defaultdict(dict)
        """By region and run the transitions of the last hour, since this service started."""

    def hear(self, event: WorkerTelemetry | ResumeToken) -> None:
        """Note what a worker says, or a token that is handed out."""
        self._fleet.hear(event)

    async def around(
        self, transition: GridTransition, stored_at: datetime, jetstream: JetStreamContext
    ) -> Surroundings:
        """What is known by now.

        Args:
            transition: live or of a replay.
            stored_at: when the stream took it, on the wall clock.
            jetstream: where forecasts and fuel mixes lie.
        """
        forecast = await last_stored(jetstream, self._prefix, GridForecast, transition.region)
        live = transition.state.replay is None
        return Surroundings(
            expected=expected_change(transition, forecast),
            fleet=self._fleet.answer(transition, stored_at if live else transition.time),
            fuels=await self._fuels(transition, stored_at, jetstream) if live else (),
            changes_last_hour=self._count(transition),
        )

    async def _fuels(
        self, transition: GridTransition, stored_at: datetime, jetstream: JetStreamContext
    ) -> tuple[FuelShift, ...]:
        stream = stream_name(FuelMix.stream, self._prefix)
        subject = f"{self._prefix}.{FuelMix.address.format(region=transition.region)}"
        since = stored_at - MIXES_SINCE
        mixes = events_of(jetstream, FuelMix, stream, subject, DeliverPolicy.BY_START_TIME, opt_start_time=since)
        return fuel_shifts([mix async for _, mix in mixes], transition.time)

    def _count(self, transition: GridTransition) -> int:
        """One delivered again is counted once."""
        key = (transition.region, transition.state.replay.run if transition.state.replay else None)
        recent = self._changes[key] | {transition.id: transition.time}
        self._changes[key] = {
            name: moment for name, moment in recent.items() if transition.time - HOUR < moment <= transition.time
        }
        return len(self._changes[key])
