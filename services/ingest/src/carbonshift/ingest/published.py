"""What the broker was given before: a restart goes on behind it."""

from datetime import datetime
from typing import TypeVar

from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy

from carbonshift.common.events import DayAheadPrices, FuelMix, GridTick, ProvidedForecast
from carbonshift.common.readback import events_of
from carbonshift.common.streams import stream_name
from carbonshift.ingest.settings import IngestSettings

__all__ = ["published"]

E = TypeVar("E", GridTick, DayAheadPrices, ProvidedForecast, FuelMix)


async def published(jetstream: JetStreamContext, settings: IngestSettings, kind: type[E], since: datetime) -> list[E]:
    """The live events of the region that were stored since then, in their order; none of a replay."""
    subject = f"{settings.subject_prefix}.{kind.kind}.{settings.region}"
    stream = stream_name(kind.stream, settings.subject_prefix)
    found = events_of(jetstream, kind, stream, subject, DeliverPolicy.BY_START_TIME, opt_start_time=since)
    return [event async for _, event in found if event.replay is None]
