"""Shell of decide: ticks in, states, transitions and resume tokens out. Every judgement is in `machine` and `ramp`."""

import time
from datetime import datetime, timedelta

from faststream import AckPolicy, FastStream
from faststream.nats import PullSub

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.client import bare_client
from carbonshift.common.events import GridState, GridTick, GridTransition, ResumeToken, WorkerTelemetry
from carbonshift.common.plugins import load_plugin
from carbonshift.common.streams import declare_streams, stream_of
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policy import Policy
from carbonshift.decide.ramp import Draw, grant
from carbonshift.decide.rebuild import rebuild
from carbonshift.decide.settings import DecideSettings

__all__ = ["build"]

SILENT_DEVICE_SECONDS = 60.0
"""A device unheard of for so long has given its watts back."""


def build(settings: DecideSettings | None = None) -> FastStream:
    """Wire decide to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or DecideSettings.load()
    prefix = settings.subject_prefix
    policy: Policy = load_plugin("carbonshift.policies", settings.policy)(settings)
    broker = connect(settings)
    outlet = Outlet(broker, settings, GridTransition, ResumeToken, GridState)
    memories: dict[str, RegionMemory] = {}
    tokens = TokenDesk(settings)

    @broker.subscriber(
        GridTick.subjects(prefix),
        stream=stream_of(GridTick, prefix),
        durable=settings.service,
        pull_sub=PullSub(timeout=1),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        title="decide on a tick",
    )
    async def on_tick(tick: GridTick) -> None:
        memory, transition, state = step(memories.get(tick.region, RegionMemory()), tick, policy, settings)
        if transition:
            await outlet.publish(transition)
        if state:
            for token in tokens.issue(tick, state):
                await outlet.publish(token)
            await outlet.publish(state)  # last: it is the record that this tick is decided
        memories[tick.region] = memory  # after the effect: a redelivered tick is decided again from the same past

    @broker.subscriber(
        WorkerTelemetry.subjects(prefix),
        no_reply=True,  # its sender waits for the stream to confirm, not for us
        title="what the devices draw",
    )
    async def on_telemetry(telemetry: WorkerTelemetry) -> None:
        tokens.heard(telemetry)

    app = FastStream(broker)

    @app.on_startup
    async def prepare() -> None:
        await declare_streams(settings)
        async with bare_client(settings) as client:
            memories.update(await rebuild(client.jetstream(), settings))

    return app


class TokenDesk:
    """Remembers what the devices of each site draw and which tokens are out, for `grant`."""

    def __init__(self, settings: DecideSettings) -> None:
        self._sites = settings.sites
        self._devices: dict[tuple[str, str, str], tuple[float, Draw]] = {}
        self._outstanding: dict[str, list[ResumeToken]] = {}
        self._covered_until: dict[str, datetime] = {}

    def heard(self, telemetry: WorkerTelemetry) -> None:
        """A device has said what it may draw."""
        key = (telemetry.site, telemetry.worker, telemetry.device_uuid)
        self._devices[key] = (
            time.monotonic(),
            Draw(allowance_w=telemetry.allowance_w, ceiling_w=telemetry.ceiling_w),
        )

    def issue(self, tick: GridTick, state: GridState) -> list[ResumeToken]:
        """The tokens of one interval, for every site in its region; none in a replay nobody can keep up with."""
        if state.replay and state.replay.speed is None:
            return []
        return [
            token
            for name, site in self._sites.items()
            if site.region == tick.region
            for token in self._issue(name, tick, state)
        ]

    def _issue(self, name: str, tick: GridTick, state: GridState) -> list[ResumeToken]:
        heard_since = time.monotonic() - SILENT_DEVICE_SECONDS
        draws = [draw for key, (at, draw) in self._devices.items() if key[0] == name and at >= heard_since]
        key = f"{name}:{state.replay.run if state.replay else ''}"
        start = max(tick.observed_at, self._covered_until.get(key, tick.observed_at))
        end = tick.observed_at + timedelta(seconds=tick.interval_seconds)
        issued = grant(name, self._sites[name], state, draws, self._outstanding.get(key, ()), start, end)
        still_out = [token for token in self._outstanding.get(key, ()) if token.expires_at > start]
        self._outstanding[key] = still_out + issued
        self._covered_until[key] = max(start, end)
        return issued
