"""What the page is told: the fleet as of a moment, with the age of everything. Pure: no I/O, the moment is given."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from carbonshift.common.events import (
    CarbonBasis,
    EnergyBasis,
    GridState,
    Instant,
    JobStatus,
    PriceMarket,
    Pulse,
    Quality,
    Quantiles,
    Replay,
    RunState,
    WorkerEvent,
    WorkerEventKind,
    WorkerTelemetry,
)
from carbonshift.dashboard.fleet import Device, Fleet, Heard, Track, replay_of

__all__ = [
    "ChangeView",
    "DeviceView",
    "ForecastView",
    "HistoryView",
    "NarrativeView",
    "RegionView",
    "Snapshot",
    "StateView",
    "TickView",
    "snapshot",
]

PERIODS_TILL_STALE = 3
"""One period may be late, two may be lost."""
LIVE_KEPT = timedelta(days=1)
"""A machine that fell silent in the night is still on the page in the morning."""
REPLAY_KEPT = timedelta(hours=1)
"""A replay that has ended is history: it makes room for the grid of today."""
FORECAST_STEPS = 72


class View(BaseModel):
    """Base of what the page is told."""

    model_config = ConfigDict(frozen=True)


class Aged(View):
    """Something heard, and from when on it is too old to be trusted."""

    heard_at: Instant
    stale_at: Instant
    stale: bool
    """As of the snapshot's `now`; a page that waits compares `stale_at` itself."""


class TickView(Aged):
    """Price and carbon of the latest interval."""

    interval_start: Instant
    interval_seconds: int
    price_usd_per_mwh: float | None
    price_quality: Quality
    price_market: PriceMarket
    price_source: str
    carbon_g_per_kwh: float | None
    carbon_quality: Quality
    carbon_basis: CarbonBasis
    carbon_source: str
    issues: tuple[str, ...]


class StateView(Aged):
    """The verdict, and what it asks of the fleet."""

    interval_start: Instant
    state: Pulse
    since: Instant
    previous: Pulse | None
    """The state it came from, where the change has been heard."""
    score: float | None
    power_limit_w: float
    power_fraction: float
    run: bool
    reasons: tuple[str, ...]
    policy: str


class NarrativeView(View):
    """The last change, told to a person."""

    interval_start: Instant
    text: str
    model: str
    fallback: bool
    outdated: bool
    """True where the state has changed again since."""


class ForecastView(View):
    """The hours to come."""

    origin: Instant
    step_seconds: int
    price_usd_per_mwh: Quantiles
    carbon_g_per_kwh: Quantiles
    spike_probability: tuple[float, ...]
    spike_threshold_usd_per_mwh: float
    degraded: bool


class HistoryView(View):
    """The chart's columns, all of one length, ascending in time."""

    interval_start_unix_seconds: tuple[int, ...]
    price_usd_per_mwh: tuple[float | None, ...]
    carbon_g_per_kwh: tuple[float | None, ...]
    state: tuple[Pulse | None, ...]


class RegionView(View):
    """One region: the live grid, or a replay where that is what is being heard."""

    region: str
    replay: Replay | None
    tick: TickView | None
    state: StateView | None
    narrative: NarrativeView | None
    forecast: ForecastView | None
    history: HistoryView


class ChangeView(View):
    """What was last done to a device."""

    event: WorkerEventKind
    observed_at: Instant
    detail: dict[str, float | int | str | bool | None]


class DeviceView(Aged):
    """One device, what it draws, and the job on it."""

    worker: str
    device_uuid: str
    site: str
    region: str
    replay: Replay | None
    observed_at: Instant
    run_state: RunState | None
    """Null until the first telemetry."""
    power_w: float | None
    power_limit_w: float | None
    enforced_limit_w: float | None
    allowance_w: float | None
    ceiling_w: float | None
    energy_j: float | None
    energy_basis: EnergyBasis | None
    job: str | None
    step: int | None
    steps_per_s: float | None
    remaining_steps: int | None
    deadline: Instant | None
    last_change: ChangeView | None


class Snapshot(View):
    """The fleet and the grid as of `now`."""

    now: Instant
    whole: bool
    """False: only the regions and devices that have changed since the message before."""
    broker_connected: bool
    unreadable_messages: int
    """Messages since the start that were no valid event: logged, and not shown."""
    regions: tuple[RegionView, ...]
    devices: tuple[DeviceView, ...]


def snapshot(
    fleet: Fleet,
    now: datetime,
    *,
    quiet_seconds: float,
    since: Fleet | None = None,
    broker_connected: bool = True,
    unreadable_messages: int = 0,
) -> Snapshot:
    """What the page shows of `fleet` at `now`; with `since`, only what differs from that earlier fleet."""
    quiet = timedelta(seconds=quiet_seconds)
    return Snapshot(
        now=now,
        whole=since is None,
        broker_connected=broker_connected,
        unreadable_messages=unreadable_messages,
        regions=tuple(
            _region(track, now, quiet)
            for track in _shown(fleet, now, quiet)
            if since is None or since.tracks.get((track.region, track.run)) is not track
        ),
        devices=tuple(
            _device(device, job, now, quiet)
            for key, device in sorted(fleet.devices.items())
            if _remembered(device.at, now, replayed=_newest(device).replay is not None)
            for job in [_job_of(fleet, device)]
            if since is None or since.devices.get(key) is not device or _job_of(since, device) is not job
        ),
    )


def _shown(fleet: Fleet, now: datetime, quiet: timedelta) -> Iterator[Track]:
    """Of each region one track: the live one while it is fresh, else what was heard last."""
    best: dict[str, tuple[bool, datetime, Track]] = {}
    for track in fleet.tracks.values():
        known = track.tick or track.state
        if not known or not _remembered(track.at, now, replayed=bool(track.run)):
            continue
        fresh_and_live = not track.run and track.state is not None and now < _state_stale_at(track.state, quiet)
        rank = (fresh_and_live, track.at, track)
        if track.region not in best or rank[:2] > best[track.region][:2]:
            best[track.region] = rank
    return (best[region][2] for region in sorted(best))


def _remembered(at: datetime, now: datetime, *, replayed: bool) -> bool:
    return now - at < (REPLAY_KEPT if replayed else LIVE_KEPT)


def _region(track: Track, now: datetime, quiet: timedelta) -> RegionView:
    return RegionView(
        region=track.region,
        replay=replay_of(track),
        tick=_tick(track, now, quiet),
        state=_state(track, now, quiet),
        narrative=_narrative(track),
        forecast=_forecast(track),
        history=HistoryView(
            interval_start_unix_seconds=tuple(int(point.interval_start.timestamp()) for point in track.points),
            price_usd_per_mwh=tuple(point.price_usd_per_mwh for point in track.points),
            carbon_g_per_kwh=tuple(point.carbon_g_per_kwh for point in track.points),
            state=tuple(point.state for point in track.points),
        ),
    )


def _tick(track: Track, now: datetime, quiet: timedelta) -> TickView | None:
    if track.tick is None:
        return None
    tick, at = track.tick.event, track.tick.at
    stale_at = at + max(quiet, _period(tick.interval_seconds, tick.replay) * PERIODS_TILL_STALE)
    return TickView(
        heard_at=at,
        stale_at=stale_at,
        stale=now >= stale_at,
        interval_start=tick.interval_start,
        interval_seconds=tick.interval_seconds,
        price_usd_per_mwh=tick.price_usd_per_mwh,
        price_quality=tick.price_quality,
        price_market=tick.price_market,
        price_source=tick.price_source,
        carbon_g_per_kwh=tick.carbon_g_per_kwh,
        carbon_quality=tick.carbon_quality,
        carbon_basis=tick.carbon_basis,
        carbon_source=tick.carbon_source,
        issues=tick.issues,
    )


def _state(track: Track, now: datetime, quiet: timedelta) -> StateView | None:
    if track.state is None:
        return None
    state = track.state.event
    change = track.transition.event if track.transition else None
    stale_at = _state_stale_at(track.state, quiet)
    return StateView(
        heard_at=track.state.at,
        stale_at=stale_at,
        stale=now >= stale_at,
        interval_start=state.interval_start,
        state=state.state,
        since=state.since,
        previous=change.previous if change and change.state.since == state.since else None,
        score=state.score,
        power_limit_w=state.power_limit_w,
        power_fraction=state.power_fraction,
        run=state.run,
        reasons=state.reasons,
        policy=state.policy,
    )


def _state_stale_at(heard: Heard[GridState], quiet: timedelta) -> datetime:
    """A live state is a lease that says how long it holds; a replayed one says so in its own time, not in ours."""
    state = heard.event
    if state.replay is None:
        return state.valid_until
    return heard.at + max(quiet, _period(state.interval_seconds, state.replay) * PERIODS_TILL_STALE)


def _period(interval_seconds: int, replay: Replay | None) -> timedelta:
    """Time on the wall between two intervals."""
    if replay is None:
        return timedelta(seconds=interval_seconds)
    return timedelta(seconds=interval_seconds / replay.speed) if replay.speed else timedelta(0)


def _narrative(track: Track) -> NarrativeView | None:
    if track.narrative is None:
        return None
    told = track.narrative.event
    return NarrativeView(
        interval_start=told.interval_start,
        text=told.text,
        model=told.model,
        fallback=told.fallback,
        outdated=track.state is not None and track.state.event.since > told.interval_start,
    )


def _forecast(track: Track) -> ForecastView | None:
    if track.forecast is None:
        return None
    outlook = track.forecast.event
    return ForecastView(
        origin=outlook.origin,
        step_seconds=outlook.step_seconds,
        price_usd_per_mwh=_first_steps(outlook.price_usd_per_mwh),
        carbon_g_per_kwh=_first_steps(outlook.carbon_g_per_kwh),
        spike_probability=outlook.spike_probability[:FORECAST_STEPS],
        spike_threshold_usd_per_mwh=outlook.spike_threshold_usd_per_mwh,
        degraded=outlook.degraded,
    )


def _first_steps(quantiles: Quantiles) -> Quantiles:
    return Quantiles(
        p10=quantiles.p10[:FORECAST_STEPS], p50=quantiles.p50[:FORECAST_STEPS], p90=quantiles.p90[:FORECAST_STEPS]
    )


def _newest(device: Device) -> WorkerTelemetry | WorkerEvent:
    telemetry, change = device.telemetry, device.change
    if telemetry and (change is None or telemetry.at >= change.at):
        return telemetry.event
    if change is None:
        raise ValueError("a device is known by what it said")
    return change.event


def _job_of(fleet: Fleet, device: Device) -> Heard[JobStatus] | None:
    return fleet.jobs.get(device.telemetry.event.job or "") if device.telemetry else None


def _device(device: Device, job: Heard[JobStatus] | None, now: datetime, quiet: timedelta) -> DeviceView:
    newest = _newest(device)
    telemetry = device.telemetry.event if device.telemetry else None
    change = device.change.event if device.change else None
    heard_at = device.telemetry.at if device.telemetry else device.at
    stale_at = heard_at + quiet
    return DeviceView(
        heard_at=heard_at,
        stale_at=stale_at,
        stale=now >= stale_at,
        worker=newest.worker,
        device_uuid=newest.device_uuid,
        site=newest.site,
        region=newest.region,
        replay=newest.replay,
        observed_at=newest.observed_at,
        run_state=telemetry.run_state if telemetry else None,
        power_w=telemetry.power_w if telemetry else None,
        power_limit_w=telemetry.power_limit_w if telemetry else None,
        enforced_limit_w=telemetry.enforced_limit_w if telemetry else None,
        allowance_w=telemetry.allowance_w if telemetry else None,
        ceiling_w=telemetry.ceiling_w if telemetry else None,
        energy_j=telemetry.energy_j if telemetry else None,
        energy_basis=telemetry.energy_basis if telemetry else None,
        job=telemetry.job if telemetry else None,
        step=telemetry.step if telemetry else None,
        steps_per_s=telemetry.steps_per_s if telemetry else None,
        remaining_steps=job.event.remaining_steps if job else None,
        deadline=job.event.deadline if job else None,
        last_change=ChangeView(event=change.event, observed_at=change.observed_at, detail=change.detail)
        if change
        else None,
    )
