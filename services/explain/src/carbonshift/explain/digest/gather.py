"""Reads back what the streams hold of a region's span. Shell."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy
from nats.js.errors import NotFoundError

from carbonshift.common.events import (
    EnergyUse,
    Event,
    GridForecast,
    GridState,
    GridTick,
    GridTransition,
    WorkerEvent,
)
from carbonshift.common.events.base import NAME
from carbonshift.common.readback import events_of
from carbonshift.common.streams import stream_name
from carbonshift.explain.digest.heard import FORECAST_KEPT, Heard

__all__ = ["CLOCKS_APART", "Run", "gather", "regions_of", "runs_of"]

KINDS: tuple[type[Event], ...] = (GridTick, GridState, GridTransition, GridForecast, WorkerEvent, EnergyUse)
CLOCKS_APART = timedelta(hours=1)
"""A live event is stored in its time or after it; so much before it where clocks differ."""
LONGEST_INTERVAL = timedelta(hours=1)
"""Of a live source: one that reaches into the span from before began no earlier."""
LONGEST_RED = timedelta(days=7)
"""Of one that began longer before the span the reason is not looked for."""
BREATH = 100
"""Events after which others have their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of the grid that the streams hold: replay `name`, or the live one where that is None."""

    name: str | None
    region: str
    first: datetime
    """Start of the first interval that has a state."""
    end: datetime
    """End of the last one."""


async def gather(
    jetstream: JetStreamContext,
    prefix: str,
    heard: Heard,
    progress: Callable[[str, float], None] = lambda _what, _share: None,
) -> None:
    """Let `heard` hear what the streams hold of its span, each event once and none of them kept.

    What is live is read from its time on up to now: energy, and corrections, may have come late. A replay's events
    have any age, so all of its region are looked at.

    Raises: TimeoutError, nats.errors.Error where the broker does not answer.
    """
    for index, kind in enumerate(KINDS):
        progress(kind.stream, index / len(KINDS))
        since = heard.span.start - LONGEST_INTERVAL - CLOCKS_APART
        if kind is GridTransition:
            since = heard.span.start - LONGEST_RED - CLOCKS_APART
        if kind is GridForecast:
            since = heard.span.end - FORECAST_KEPT - CLOCKS_APART
        await _read(jetstream, prefix, kind, heard, since if heard.run is None else None)


async def _read(
    jetstream: JetStreamContext, prefix: str, kind: type[Event], heard: Heard, since: datetime | None
) -> None:
    named = f"{prefix}.{kind.address.format(region=heard.region)}" if "{region}" in kind.address else None
    count = 0
    try:
        async for _, event in events_of(
            jetstream,
            kind,
            stream_name(kind.stream, prefix),
            named or kind.subjects(prefix),
            DeliverPolicy.BY_START_TIME if since else DeliverPolicy.ALL,
            opt_start_time=since,
        ):
            heard.hear(event)
            count += 1
            if count % BREATH == 0:
                await asyncio.sleep(0)
    except NotFoundError:  # no service has ever run here
        return


async def regions_of(jetstream: JetStreamContext, prefix: str) -> list[str]:
    """Every region that has a tick or a state in the streams."""
    regions: set[str] = set()
    for kind in (GridTick, GridState):
        try:
            info = await jetstream.stream_info(stream_name(kind.stream, prefix), subjects_filter=kind.subjects(prefix))
        except NotFoundError:
            continue
        regions |= {subject.rpartition(".")[2] for subject in info.state.subjects or {}}
    return sorted(filter(NAME.fullmatch, regions))  # a subject may be any token, an escape sequence among them


async def runs_of(jetstream: JetStreamContext, prefix: str, region: str) -> list[Run]:
    """The runs that the streams hold states of, the one that was heard last at the end."""
    runs: dict[str | None, Run] = {}
    try:
        async for _, state in events_of(
            jetstream,
            GridState,
            stream_name(GridState.stream, prefix),
            f"{prefix}.{GridState.address.format(region=region)}",
            DeliverPolicy.ALL,
        ):
            name = state.replay.run if state.replay else None
            known = runs.pop(name, None)
            end = state.interval_start + timedelta(seconds=state.interval_seconds)
            runs[name] = Run(
                name=name,
                region=region,
                first=min(known.first, state.interval_start) if known else state.interval_start,
                end=max(known.end, end) if known else end,
            )
    except NotFoundError:
        return []
    return list(runs.values())
