"""What the events heard so far say of the grid and of the fleet. Pure: no clock, no I/O.

Each event comes with the moment its stream stored it. Every rule of "newest" goes by that moment or by event time,
never by the order of arrival: a message heard twice, or late, changes nothing that a newer one has said.
"""

from bisect import bisect_left
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar

from carbonshift.common.events import (
    Event,
    GridForecast,
    GridState,
    GridTick,
    GridTransition,
    JobStatus,
    Narrative,
    Pulse,
    Replay,
    WorkerEvent,
    WorkerTelemetry,
)

__all__ = ["KINDS", "Bounds", "Device", "Fleet", "Heard", "Point", "Track", "fold"]

KINDS: tuple[type[Event], ...] = (
    GridTick,
    GridState,
    GridTransition,
    GridForecast,
    Narrative,
    JobStatus,
    WorkerEvent,
    WorkerTelemetry,
)
"""The events that `fold` takes in."""

E = TypeVar("E", bound=Event)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V", "Track", "Device", "Heard[JobStatus]")


@dataclass(frozen=True, slots=True)
class Heard(Generic[E]):
    """An event, and when its stream stored it, by the clock on the broker's wall."""

    event: E
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One interval of the chart; a correction of a higher revision replaces its values."""

    interval_start: datetime
    revision: int = -1
    """-1 while no tick of the interval has been heard."""
    price_usd_per_mwh: float | None = None
    carbon_g_per_kwh: float | None = None
    state: Pulse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One history of one region: the live one, or one run of a replay. The two are never mixed."""

    region: str
    run: str
    """The replay's run; empty for the live grid."""
    at: datetime
    """When anything of it was last heard."""
    tick: Heard[GridTick] | None = None
    state: Heard[GridState] | None = None
    transition: Heard[GridTransition] | None = None
    forecast: Heard[GridForecast] | None = None
    narrative: Heard[Narrative] | None = None
    points: tuple[Point, ...] = ()
    """Ascending in time, no interval twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of a worker: its last telemetry, and what was last done to it."""

    at: datetime
    telemetry: Heard[WorkerTelemetry] | None = None
    change: Heard[WorkerEvent] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is kept; beyond it, what has been silent longest is let go."""

    points: int = 288
    tracks: int = 256
    devices: int = 4_096
    jobs: int = 4_096


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that is known. What a fold does not touch stays the same object, so that a change is found by identity."""

    tracks: Mapping[tuple[str, str], Track] = field(default_factory=dict)
    """By region and run."""
    devices: Mapping[tuple[str, str], Device] = field(default_factory=dict)
    """By worker and device UUID."""
    jobs: Mapping[str, Heard[JobStatus]] = field(default_factory=dict)


def fold(fleet: Fleet, event: Event, at: datetime, bounds: Bounds) -> Fleet:
    """`fleet` after `event`, which its stream stored at `at`; an event of a kind that is not shown changes nothing."""
    match event:
        case GridTick() | GridState() | GridTransition() | GridForecast() | Narrative():
            key = (event.region, run_of(event))
            before = fleet.tracks.get(key, Track(region=key[0], run=key[1], at=at))
            track = _follow(before, event, at, bounds.points)
            return replace(fleet, tracks=_kept(fleet.tracks, key, track, bounds.tracks))
        case WorkerTelemetry() | WorkerEvent():
            owner = (event.worker, event.device_uuid)
            device = _watch(fleet.devices.get(owner, Device(at=at)), event, at)
            return replace(fleet, devices=_kept(fleet.devices, owner, device, bounds.devices))
        case JobStatus():
            job = _stored_later(fleet.jobs.get(event.job), event, at)
            return replace(fleet, jobs=_kept(fleet.jobs, event.job, job, bounds.jobs))
        case _:
            return fleet


def run_of(event: GridTick | GridState | GridTransition | GridForecast | Narrative) -> str:
    """The replay run an event belongs to; empty for the live grid.

    A narrative carries it only within the id of its transition.
    """
    if isinstance(event, Narrative):
        return ":".join(event.transition_id.split(":")[3:])
    marked: GridTick | GridState | GridForecast = event.state if isinstance(event, GridTransition) else event
    return marked.replay.run if marked.replay else ""


def replay_of(track: Track) -> Replay | None:
    """How the track is replayed; None for the live grid."""
    heard = track.state or track.tick
    return heard.event.replay if heard else None


def _follow(
    track: Track, event: GridTick | GridState | GridTransition | GridForecast | Narrative, at: datetime, limit: int
) -> Track:
    track = replace(track, at=max(track.at, at))
    match event:
        case GridTick():
            return replace(track, tick=_later(track.tick, event, at), points=_with_tick(track.points, event, limit))
        case GridState():
            return replace(track, state=_later(track.state, event, at), points=_with_state(track.points, event, limit))
        case GridTransition():
            return replace(track, transition=_later(track.transition, event, at))
        case GridForecast():
            return replace(track, forecast=_later(track.forecast, event, at))
        case Narrative():
            return replace(track, narrative=_later(track.narrative, event, at))


def _later(known: Heard[E] | None, event: E, at: datetime) -> Heard[E]:
    """The one that speaks of the later moment; of one moment, the later revision, then the later stored."""
    heard = Heard(event, at)
    return known if known and _rank(known) > _rank(heard) else heard


def _rank(heard: Heard[E]) -> tuple[datetime, int, datetime]:
    event = heard.event
    return event.time, event.revision if isinstance(event, GridTick) else 0, heard.at


def _watch(device: Device, event: WorkerTelemetry | WorkerEvent, at: datetime) -> Device:
    """By the moment of storing, not by event time: a worker that turns to another replay goes back in time."""
    device = replace(device, at=max(device.at, at))
    if isinstance(event, WorkerTelemetry):
        return replace(device, telemetry=_stored_later(device.telemetry, event, at))
    return replace(device, change=_stored_later(device.change, event, at))


def _stored_later(known: Heard[E] | None, event: E, at: datetime) -> Heard[E]:
    return known if known and known.at > at else Heard(event, at)


def _with_tick(points: tuple[Point, ...], tick: GridTick, limit: int) -> tuple[Point, ...]:
    known = _point(points, tick.interval_start)
    if known.revision > tick.revision:
        return points
    point = replace(
        known,
        revision=tick.revision,
        price_usd_per_mwh=tick.price_usd_per_mwh,
        carbon_g_per_kwh=tick.carbon_g_per_kwh,
    )
    return _placed(points, point, limit)


def _with_state(points: tuple[Point, ...], state: GridState, limit: int) -> tuple[Point, ...]:
    return _placed(points, replace(_point(points, state.interval_start), state=state.state), limit)


def _start(point: Point) -> datetime:
    return point.interval_start


def _point(points: tuple[Point, ...], start: datetime) -> Point:
    place = bisect_left(points, start, key=_start)
    if place < len(points) and points[place].interval_start == start:
        return points[place]
    return Point(interval_start=start)


def _placed(points: tuple[Point, ...], point: Point, limit: int) -> tuple[Point, ...]:
    place = bisect_left(points, point.interval_start, key=_start)
    rest = place + (place < len(points) and points[place].interval_start == point.interval_start)
    return (*points[:place], point, *points[rest:])[-limit:]


def _kept(known: Mapping[K, V], key: K, value: V, limit: int) -> Mapping[K, V]:
    """`known` with `value`; beyond the limit without what has been silent longest."""
    kept = {**known, key: value}
    if len(kept) > limit:
        del kept[min(kept, key=lambda one: kept[one].at)]
    return kept
