"""Events to fold and to publish, all about one afternoon; the dashboard served on a free port."""

import asyncio
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
import uvicorn

from carbonshift.common.events import (
    Account,
    CarbonBasis,
    EnergyBasis,
    GridState,
    GridTick,
    GridTransition,
    JobStatus,
    Narrative,
    PriceMarket,
    Pulse,
    Quality,
    Replay,
    RunState,
    TransitionFacts,
    WorkerEvent,
    WorkerEventKind,
    WorkerTelemetry,
)
from carbonshift.dashboard.app import build
from carbonshift.dashboard.settings import DashboardSettings

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
STEP = timedelta(minutes=5)


def tick(index=0, *, price=40.0, revision=0, region="caiso", replay=None, start=NOON):
    return GridTick(
        region=region,
        interval_start=start + index * STEP,
        interval_seconds=300,
        revision=revision,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=300.0,
        carbon_basis=CarbonBasis.MARGINAL,
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="test",
        carbon_source="test",
        observed_at=start + (index + 1) * STEP,
        replay=replay,
    )


def state(index=0, pulse=Pulse.GREEN, *, region="caiso", replay=None, start=NOON, since=None):
    begin = start + index * STEP
    return GridState(
        region=region,
        interval_start=begin,
        interval_seconds=300,
        state=pulse,
        since=begin if since is None else since,
        score=0.2,
        price_norm=0.2,
        carbon_norm=0.2,
        power_limit_w=250.0,
        power_fraction=1.0,
        run=pulse is not Pulse.RED,
        epoch=int(NOON.timestamp()),
        reasons=("optimal",),
        valid_until=begin + 3 * STEP,
        policy="eco-pulse",
        replay=replay,
    )


def transition(of, previous=Pulse.AMBER):
    return GridTransition(
        region=of.region,
        state=of,
        previous=previous,
        previous_since=None,
        facts=TransitionFacts(
            price_usd_per_mwh=40.0,
            carbon_g_per_kwh=300.0,
            carbon_basis=CarbonBasis.MARGINAL,
            price_low_usd_per_mwh=None,
            price_high_usd_per_mwh=None,
            carbon_low_g_per_kwh=None,
            carbon_high_g_per_kwh=None,
            thresholds={},
            recent_interval_starts=(),
            recent_prices_usd_per_mwh=(),
            recent_carbon_g_per_kwh=(),
        ),
    )


def narrative(of, text="It turned."):
    return Narrative(
        region=of.region,
        transition_id=transition(of).id,
        interval_start=of.interval_start,
        text=text,
        model="template",
        facts={},
        fallback=False,
    )


def telemetry(worker="lab-a", device="gpu-0", *, power=200.0, job="resnet", seconds=0, replay=None):
    return WorkerTelemetry(
        worker=worker,
        site="lab",
        region="caiso",
        device_uuid=device,
        observed_at=NOON + timedelta(seconds=seconds),
        power_w=power,
        power_limit_w=250.0,
        enforced_limit_w=250.0,
        allowance_w=250.0,
        ceiling_w=250.0,
        energy_j=1_000.0,
        energy_basis=EnergyBasis.MODELLED,
        account=Account(since=NOON),
        run_state=RunState.RUNNING,
        job=job,
        step=120,
        steps_per_s=3.5,
        replay=replay,
    )


def change(kind=WorkerEventKind.CAPPED, worker="lab-a", device="gpu-0", sequence=0):
    return WorkerEvent(
        worker=worker,
        site="lab",
        region="caiso",
        device_uuid=device,
        sequence=sequence,
        started_at=NOON,
        observed_at=NOON,
        event=kind,
        detail={"limit_w": 175.0},
    )


def job(name="resnet", remaining=880):
    return JobStatus(
        job=name,
        worker="lab-a",
        site="lab",
        region="caiso",
        observed_at=NOON,
        state=RunState.RUNNING,
        step=120,
        remaining_steps=remaining,
    )


def replayed(run="run1", speed=300.0):
    return Replay(run=run, speed=speed)


@pytest.fixture(scope="session")
def some():
    """Makes one event of each kind: `some.tick(3)` is the fourth of the afternoon."""
    return SimpleNamespace(
        NOON=NOON,
        STEP=STEP,
        change=change,
        job=job,
        narrative=narrative,
        replayed=replayed,
        state=state,
        telemetry=telemetry,
        tick=tick,
        transition=transition,
    )


class Server(uvicorn.Server):
    """The test's signals stay the test's."""

    async def shutdown(self, sockets=None):
        self.config.app.state.board.close()
        await super().shutdown(sockets)


@asynccontextmanager
async def served(settings):
    """A client of the dashboard, which runs in uvicorn on a free port for as long as the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(uvicorn.Config(build(settings), log_config=None, timeout_graceful_shutdown=2))
        serving = asyncio.create_task(server.serve([listener]))
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=10
            ) as client:
                yield client
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def client(broker_url):
    async with served(DashboardSettings(nats_url=broker_url)) as client:
        yield client


async def until(check, timeout_seconds=10.0):
    """What `check` returns, once it is true."""
    async with asyncio.timeout(timeout_seconds):
        while not (found := await check()):  # what it waits for is in another process
            await asyncio.sleep(0.05)
        return found


@pytest.fixture
def eventually():
    return until


@pytest.fixture
def serve():
    return served
