"""A worker against a real broker: what it hears, what it does, what it says."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import nats
import pytest

from carbonshift.common.embedded import find_binary
from carbonshift.common.events import (
    DeadLetter,
    EnergyBasis,
    EnergyUse,
    Event,
    GridState,
    JobPlan,
    JobStatus,
    PowerTarget,
    Pulse,
    Replay,
    ResumeToken,
    RunState,
    WorkerEvent,
    WorkerEventKind,
    WorkerTelemetry,
    headers,
)
from carbonshift.gpu_worker.app import build
from carbonshift.gpu_worker.devices.simulated import SimulatedDevice
from carbonshift.gpu_worker.errors import CapRefusedError
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.worker import Worker
from carbonshift.training.launch import training_environment

PARKED_W = 43.0
LOOP = """
import os, sys
from carbonshift.training.autoload import join
from carbonshift.training.gate import gate
opened = gate(join)
while not os.path.exists(sys.argv[1]):
    opened.step_done()
"""


PATIENCE_SECONDS = 60.0
HEARD = {kind.address.rpartition(".")[2]: kind for kind in (WorkerEvent, WorkerTelemetry, EnergyUse)}

E = TypeVar("E", bound=Event)


def grid_state(
    state: Pulse = Pulse.GREEN,
    *,
    epoch: int = 1,
    minute: int = 0,
    start: datetime | None = None,
    power_fraction: float | None = None,
    replay: Replay | None = None,
    valid_seconds: float = 3_600.0,
    interval_seconds: int = 60,
) -> GridState:
    """A state of today, `minute` minutes from now; it runs unless it is RED."""
    start = (start or datetime.now(UTC)) + timedelta(minutes=minute)
    run = state is not Pulse.RED
    fraction = (1.0 if run else 0.0) if power_fraction is None else power_fraction
    return GridState(
        region="caiso",
        interval_start=start,
        interval_seconds=interval_seconds,
        state=state,
        since=start,
        score=None,
        price_norm=None,
        carbon_norm=None,
        power_limit_w=100.0 + 150.0 * fraction,
        power_fraction=fraction,
        run=run,
        epoch=epoch,
        reasons=(),
        valid_until=datetime.now(UTC) + timedelta(seconds=valid_seconds),
        policy="eco-pulse",
        replay=replay,
    )


def resume_token(
    slot: int,
    *,
    epoch: int = 1,
    watts: float = 60.0,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
    replay: Replay | None = None,
) -> ResumeToken:
    """A token that is due, for an hour."""
    now = datetime.now(UTC)
    return ResumeToken(
        site="local",
        slot=slot,
        watts=watts,
        not_before=not_before or now - timedelta(seconds=1),
        expires_at=expires_at or now + timedelta(hours=1),
        epoch=epoch,
        replay=replay,
    )


class Wire:
    """Publishes events with their ids, and keeps what workers say."""

    def __init__(self, client: nats.NATS) -> None:
        self._client = client
        self._heard: list[Event] = []
        self._more = asyncio.Condition()

    async def listen(self) -> None:
        async def hear(message) -> None:
            kind = HEARD.get(message.subject.rpartition(".")[2], JobStatus)
            async with self._more:
                self._heard.append(kind.model_validate_json(message.data))
                self._more.notify_all()

        await self._client.subscribe("carbonshift.worker.>", cb=hear)
        await self._client.subscribe("carbonshift.job.*", cb=hear)
        await self._client.flush()

    async def publish(self, *events: Event) -> None:
        for event in events:
            payload = event.model_dump_json().encode()
            await self._client.jetstream().publish(
                event.subject("carbonshift"), payload, headers=headers(event, "test")
            )

    async def until(self, kind: type[E], fits: Callable[[E], bool]) -> E:
        """The first event of `kind` not looked at before that fits; those before it are looked at too."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._more:
            while True:
                while self._heard:
                    event = self._heard.pop(0)
                    if isinstance(event, kind) and fits(event):
                        return event
                await self._more.wait()

    async def heartbeat(self) -> None:
        """Return when some worker says that it still holds a token."""
        beats = await self._client.subscribe("$JS.ACK.CARBONSHIFT_TOKENS.tokens-local.>")
        while (await beats.next_msg(PATIENCE_SECONDS)).data != b"+WPI":
            pass
        await beats.unsubscribe()

    async def tokens_left(self) -> int:
        return (await self._client.jetstream().stream_info("CARBONSHIFT_TOKENS")).state.messages

    async def event(self, kind: WorkerEventKind) -> WorkerEvent:
        """The next of its kind."""
        return await self.until(WorkerEvent, lambda event: event.event is kind)

    async def allowance(self, watts: float) -> WorkerTelemetry:
        """The next telemetry that gives `watts` as the allowance."""
        return await self.until(WorkerTelemetry, lambda telemetry: telemetry.allowance_w == pytest.approx(watts))


@asynccontextmanager
async def wire_at(url: str) -> AsyncIterator[Wire]:
    client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    try:
        wire = Wire(client)
        await wire.listen()
        yield wire
    finally:
        await client.close()


@pytest.fixture
async def wire(broker_url: str) -> AsyncIterator[Wire]:
    async with wire_at(broker_url) as wire:
        yield wire


@asynccontextmanager
async def worker(url: str, folder: Path, **given) -> AsyncIterator[GpuWorkerSettings]:
    """A worker with a simulated board, and a modelled job unless told otherwise, started and in the end stopped."""
    settings = GpuWorkerSettings(
        **{
            "nats_url": url,
            "state_dir": folder,
            "worker": "bench",
            "device_backend": "simulated",
            "modelled_job": True,
            "telemetry_seconds": 60.0,
        }
        | given
    )
    app = build(settings)
    await app.start()
    try:
        yield settings
    finally:
        await app.stop()


def started(command: list[str], environment: Mapping[str, str], **options) -> subprocess.Popen[str]:
    return subprocess.Popen(command, env=environment, text=True, **options)


def train(settings: GpuWorkerSettings, stop: Path, **rank: str) -> subprocess.Popen[str]:
    """A training that does nothing but steps, until `stop` is there."""
    environment = training_environment(settings.control_path, os.environ | rank, "loop")
    return started([sys.executable, "-c", LOOP, str(stop)], environment)


async def test_green_comes_back_by_tokens_red_falls_at_once_an_old_token_raises_nothing(
    wire: Wire, broker_url, tmp_path
):
    async with worker(broker_url, tmp_path):
        registered = await wire.event(WorkerEventKind.REGISTERED)
        assert registered.detail["backend"] == "simulated"
        assert registered.detail["captured_limit_w"] == 250.0
        waiting = await wire.allowance(PARKED_W)
        assert (waiting.run_state, waiting.power_limit_w, waiting.ceiling_w) == (RunState.PAUSED, 100.0, 250.0)

        await wire.publish(grid_state(epoch=1), resume_token(1))
        resumed = await wire.event(WorkerEventKind.RESUMED)
        assert resumed.detail == {"job": "bench", "step": 0, "tokens": 1, "watts": 103.0}
        assert (await wire.allowance(103.0)).power_limit_w == 103.0
        for slot, watts in enumerate((163.0, 223.0, 250.0), start=2):
            await wire.publish(resume_token(slot))
            capped = await wire.event(WorkerEventKind.CAPPED)
            assert capped.detail["to_w"] == watts
            raised = await wire.allowance(watts)
            assert (raised.power_limit_w, raised.run_state) == (watts, RunState.RUNNING)

        await wire.publish(grid_state(Pulse.RED, epoch=2, minute=1))
        capped = await wire.event(WorkerEventKind.CAPPED)
        assert (capped.detail["from_w"], capped.detail["to_w"]) == (250.0, 100.0)
        await wire.event(WorkerEventKind.PAUSED)
        assert (await wire.allowance(PARKED_W)).run_state is RunState.PAUSED

        await wire.publish(resume_token(9, epoch=1), resume_token(10, epoch=3), grid_state(epoch=3, minute=2))
        assert (await wire.event(WorkerEventKind.RESUMED)).detail["watts"] == 103.0
    restored = await wire.event(WorkerEventKind.RESTORED)
    assert (restored.detail["from_w"], restored.detail["to_w"]) == (103.0, 250.0)


def job_plan(*modes, job="bench", ago=1, step_seconds=3_600, valid_seconds=3_600.0, replay=None) -> JobPlan:
    """A plan that has begun `ago` seconds ago."""
    origin = datetime.now(UTC) - timedelta(seconds=ago)
    return JobPlan(
        job=job,
        origin=origin,
        step_seconds=step_seconds,
        modes=modes,
        expected_cost_usd=None,
        expected_carbon_g=None,
        expected_finish=None,
        deadline_at_risk=False,
        valid_until=origin + timedelta(seconds=valid_seconds),
        policy="planner",
        replay=replay,
    )


def power_target(limit_w: float, *, seconds: float = 3_600.0) -> PowerTarget:
    """In force from a minute ago."""
    now = datetime.now(UTC)
    return PowerTarget(
        site="local",
        limit_w=limit_w,
        start=now - timedelta(minutes=1),
        end=now + timedelta(seconds=seconds),
        requested_by="utility",
    )


async def test_a_plan_outranks_the_state_in_green_and_in_red(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path):
        await wire.publish(grid_state(), resume_token(1, watts=500.0))
        await wire.allowance(250.0)
        await wire.publish(job_plan("paused", ago=60))
        assert (await wire.event(WorkerEventKind.CAPPED)).detail["cause"] == "plan"
        await wire.event(WorkerEventKind.PAUSED)
        await wire.allowance(PARKED_W)
        await wire.publish(grid_state(Pulse.RED, minute=1), job_plan(0.5), resume_token(2))
        assert (await wire.event(WorkerEventKind.RESUMED)).detail["watts"] == 103.0
        await wire.publish(resume_token(3, watts=500.0))
        assert (await wire.allowance(175.0)).run_state is RunState.RUNNING


@pytest.mark.parametrize(("fallback", "to_w"), [("restore", 250.0), ("cap", 100.0)])
async def test_a_hold_that_outlasts_the_lease_ends_as_it_is_set_to(wire: Wire, broker_url, tmp_path, fallback, to_w):
    async with worker(broker_url, tmp_path, stale_fallback=fallback):
        await wire.publish(grid_state(valid_seconds=4.0), resume_token(1))
        await wire.event(WorkerEventKind.RESUMED)
        await wire.publish(grid_state(Pulse.UNKNOWN, minute=1, valid_seconds=60.0))
        kind = WorkerEventKind.RESTORED if fallback == "restore" else WorkerEventKind.CAPPED
        changed = await wire.event(kind)
        assert (changed.detail["to_w"], changed.detail["cause"]) == (to_w, "fallback")
        stood = await wire.until(WorkerTelemetry, lambda telemetry: telemetry.power_limit_w == to_w)
        assert stood.run_state is RunState.RUNNING
        await wire.publish(grid_state(epoch=1, minute=2, power_fraction=0.01))
        await wire.until(WorkerTelemetry, lambda telemetry: telemetry.power_limit_w == pytest.approx(101.5, abs=1.5))


async def test_a_plan_that_has_gone_stale_leaves_its_job_to_the_state(wire: Wire, broker_url, tmp_path):
    """And the steps of one turn by time alone, telemetry due or not."""
    async with worker(broker_url, tmp_path):
        await wire.publish(grid_state(), resume_token(1, watts=500.0))
        await wire.allowance(250.0)
        await wire.publish(job_plan(1.0, 0.5, step_seconds=2, valid_seconds=4.0))
        await wire.allowance(175.0)
        await wire.publish(job_plan("paused", job="another"), resume_token(2, watts=500.0))
        await wire.allowance(250.0)


async def test_a_plan_of_another_replay_is_not_followed(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path):
        await wire.publish(grid_state(), resume_token(1, watts=500.0))
        await wire.allowance(250.0)
        await wire.publish(job_plan("paused", replay=Replay(run="july")), job_plan(0.5, ago=60))
        capped = await wire.event(WorkerEventKind.CAPPED)
    assert (capped.detail["to_w"], capped.detail["cause"]) == (175.0, "plan")


async def test_a_target_lowers_at_once_outlives_a_restart_and_ends_by_itself(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path):
        await wire.publish(grid_state(), resume_token(1, watts=500.0))
        await wire.allowance(250.0)
        await wire.publish(power_target(150.0))
        assert (await wire.event(WorkerEventKind.CAPPED)).detail["cause"] == "target"
        assert (await wire.allowance(150.0)).run_state is RunState.RUNNING
        await wire.publish(power_target(99.0, seconds=2.0))
        await wire.event(WorkerEventKind.PAUSED)
        await wire.allowance(PARKED_W)
        await wire.publish(resume_token(2, watts=500.0))
        await wire.allowance(150.0)  # the lower one is over, the other is not
    async with worker(broker_url, tmp_path):
        await wire.publish(grid_state(minute=1), resume_token(3, watts=500.0))
        await wire.event(WorkerEventKind.REGISTERED)
        await wire.until(WorkerTelemetry, lambda telemetry: telemetry.allowance_w > PARKED_W)
    assert (await wire.event(WorkerEventKind.RESTORED)).detail["from_w"] == 150.0


async def test_two_workers_share_a_target_by_what_they_could_draw(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path / "a", worker="a"), worker(broker_url, tmp_path / "b", worker="b"):
        await wire.publish(grid_state(), resume_token(1, watts=500.0), resume_token(2, watts=500.0))
        await both_run_at(wire, 250.0)
        await wire.publish(power_target(300.0))
        await both_run_at(wire, 150.0)


async def both_run_at(wire: Wire, watts: float) -> None:
    """In whatever order they say so."""
    left = {"a", "b"}
    while left:
        seen = await wire.until(
            WorkerTelemetry,
            lambda telemetry: telemetry.worker in left and telemetry.allowance_w == pytest.approx(watts),
        )
        assert seen.run_state is RunState.RUNNING
        left.remove(seen.worker)


async def test_progress_is_told_with_each_state(wire: Wire, broker_url, tmp_path):
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    replay = Replay(run="july", speed=None)

    def state(minute):
        return grid_state(start=noon, minute=minute, replay=replay, interval_seconds=300)

    token = resume_token(1, watts=500.0, not_before=noon, expires_at=noon + timedelta(hours=1), replay=replay)
    async with worker(broker_url, tmp_path):
        await wire.publish(state(0), token)
        await wire.allowance(250.0)
        for minute in (5, 10):
            await wire.publish(state(minute))
        told = await wire.until(JobStatus, lambda status: status.observed_at == noon + timedelta(minutes=10))
    assert (told.state, told.work_seconds, told.job) == (RunState.RUNNING, pytest.approx(600.0, abs=5.0), "bench")


async def test_amber_takes_watts_away_without_a_pause(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path):
        await wire.publish(grid_state(), resume_token(1, watts=500.0))
        await wire.allowance(250.0)
        await wire.publish(grid_state(Pulse.AMBER, minute=1, power_fraction=0.5))
        throttled = await wire.allowance(175.0)
    assert (throttled.power_limit_w, throttled.run_state) == (175.0, RunState.RUNNING)


async def test_unknown_lets_nothing_rise_and_nothing_fall(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path):
        await wire.publish(grid_state(), resume_token(1))
        await wire.allowance(103.0)
        for minute, fraction in enumerate((0.0, 1.0), start=1):
            await wire.publish(grid_state(Pulse.UNKNOWN, minute=minute, power_fraction=fraction))
            held = await wire.until(WorkerTelemetry, lambda _: True)
            assert (held.allowance_w, held.power_limit_w, held.run_state) == (103.0, 103.0, RunState.RUNNING)
            await wire.publish(resume_token(1 + minute))
        await wire.publish(grid_state(minute=3))
        await wire.allowance(223.0)


async def test_a_token_held_until_it_is_due_goes_to_another_when_its_holder_stops(wire: Wire, broker_url, tmp_path):
    noon = datetime(2025, 7, 1, 12, tzinfo=UTC)
    replay = Replay(run="july", speed=1.0)

    def state(minute):
        return grid_state(start=noon, minute=minute, replay=replay, interval_seconds=1_800)

    at = noon + timedelta(minutes=30)
    token = resume_token(1, not_before=at, expires_at=at + timedelta(minutes=30), replay=replay)
    async with worker(broker_url, tmp_path / "a", worker="a"):
        held = asyncio.create_task(wire.heartbeat())
        await wire.publish(state(0), token)
        await held
    async with worker(broker_url, tmp_path / "b", worker="b"), asyncio.timeout(10):
        await wire.publish(state(30))
        await wire.until(WorkerTelemetry, lambda telemetry: telemetry.worker == "b" and telemetry.allowance_w == 103.0)
        assert await wire.tokens_left() == 0


async def test_an_expired_lease_is_told_once_and_changes_nothing(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path, telemetry_seconds=0.05):
        await wire.publish(grid_state(valid_seconds=1.0), resume_token(1))
        await wire.allowance(103.0)
        expired = await wire.event(WorkerEventKind.LEASE_EXPIRED)
        assert expired.detail == {"state": "GREEN", "run": True}
        await wire.publish(resume_token(2))
        for _ in range(5):
            telemetry = await wire.until(WorkerTelemetry, lambda _: True)
            assert (telemetry.allowance_w, telemetry.run_state) == (103.0, RunState.RUNNING)
        await wire.publish(grid_state(minute=1))
        await wire.allowance(163.0)


async def test_a_state_whose_lease_is_over_before_it_comes_is_not_followed(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path / "declares", worker="declares", modelled_job=False):
        await wire.publish(grid_state(Pulse.GREEN, valid_seconds=-1.0))
    async with worker(broker_url, tmp_path):
        await wire.publish(grid_state(Pulse.AMBER, epoch=2, minute=1, power_fraction=0.0), resume_token(1, epoch=2))
        assert (await wire.allowance(100.0)).run_state is RunState.RUNNING


async def test_a_replay_is_metered_in_its_own_time(wire: Wire, broker_url, tmp_path):
    """Two intervals of 300 s pass in a moment: paused through the first, at full power through the second."""
    noon = datetime(2025, 7, 1, 12, tzinfo=UTC)
    replay = Replay(run="july", speed=None)

    def state(minute):
        return grid_state(start=noon, minute=minute, replay=replay, interval_seconds=300)

    token = resume_token(1, watts=500.0, not_before=noon, expires_at=noon + timedelta(hours=1), replay=replay)
    async with worker(broker_url, tmp_path):
        await wire.publish(state(0))
        first = await wire.until(WorkerTelemetry, lambda telemetry: telemetry.replay == replay)
        assert first.observed_at == noon
        await wire.publish(state(5))
        second = await wire.until(WorkerTelemetry, lambda telemetry: telemetry.observed_at > noon)
        assert second.energy_j - first.energy_j == pytest.approx(300 * PARKED_W)
        await wire.publish(token)
        await wire.allowance(250.0)
        await wire.publish(state(10))
        third = await wire.until(WorkerTelemetry, lambda telemetry: telemetry.observed_at > second.observed_at)
    assert third.energy_j - second.energy_j == pytest.approx(300 * 190.2)
    assert third.work_seconds - second.work_seconds == pytest.approx(300.0)
    assert third.energy_basis is EnergyBasis.MODELLED


async def test_a_real_training_waits_at_its_first_step_runs_by_tokens_and_goes_on_when_the_worker_stops(
    wire: Wire, broker_url, tmp_path
):
    stop = tmp_path / "stop"
    async with worker(broker_url, tmp_path, modelled_job=False) as settings:
        idle = await wire.until(WorkerTelemetry, lambda _: True)
        assert (idle.run_state, idle.job, idle.power_limit_w) == (RunState.ENDED, None, 250.0)
        assert idle.ceiling_w == idle.allowance_w
        process = train(settings, stop)
        try:
            assert (await wire.until(JobStatus, lambda _: True)).state is RunState.RUNNING
            paused = await wire.event(WorkerEventKind.PAUSED)
            assert paused.detail["step"] >= 1
            assert paused.detail["memory_used_bytes"] > 0
            waiting = await wire.allowance(PARKED_W)
            assert (waiting.run_state, waiting.step) == (RunState.PAUSED, paused.detail["step"])
            await wire.publish(grid_state(), resume_token(1))
            assert (await wire.event(WorkerEventKind.RESUMED)).detail["job"] == "loop"
            assert (await wire.until(JobStatus, lambda _: True)).state is RunState.RUNNING
            await wire.publish(grid_state(Pulse.RED, epoch=2, minute=1))
            again = await wire.event(WorkerEventKind.PAUSED)
            assert again.detail["step"] >= paused.detail["step"]
        except BaseException:
            process.kill()
            raise
    stop.touch()
    assert process.wait(30) == 0


async def test_a_job_that_ends_gives_its_watts_and_the_limit_back(wire: Wire, broker_url, tmp_path):
    stop = tmp_path / "stop"
    async with worker(broker_url, tmp_path, modelled_job=False) as settings:
        process = train(settings, stop)
        await wire.publish(grid_state(), resume_token(1))
        await wire.event(WorkerEventKind.RESUMED)
        stop.touch()
        assert (await wire.until(JobStatus, lambda status: status.state is RunState.ENDED)).job == "loop"
        assert (await wire.event(WorkerEventKind.RESTORED)).detail["cause"] == "no job"
        idle = await wire.allowance(PARKED_W)
        assert (idle.run_state, idle.power_limit_w) == (RunState.ENDED, 250.0)
        assert process.wait(30) == 0


async def test_a_board_that_refuses_caps_is_paused_and_resumed_within_the_budget_all_the_same(
    wire: Wire, broker_url, tmp_path, monkeypatch
):
    """Its limit cannot come down, so training waits until the whole of it is granted."""

    def refuse(_device, limit_w):
        raise CapRefusedError(f"no {limit_w:g} W: no permission", "grant CAP_SYS_ADMIN")

    monkeypatch.setattr(SimulatedDevice, "set_power_limit_w", refuse)
    async with worker(broker_url, tmp_path):
        refused = await wire.event(WorkerEventKind.CAP_REFUSED)
        assert refused.detail == {"problem": "no 100 W: no permission", "remedy": "grant CAP_SYS_ADMIN"}
        await wire.publish(grid_state(), *(resume_token(slot, watts=100.0) for slot in range(3)))
        assert (await wire.allowance(143.0)).run_state is RunState.PAUSED
        assert (await wire.allowance(243.0)).run_state is RunState.PAUSED
        assert (await wire.event(WorkerEventKind.RESUMED)).detail["tokens"] == 3
        assert (await wire.allowance(250.0)).power_limit_w == 250.0


async def test_what_cannot_be_read_is_kept_as_a_dead_letter_and_the_worker_goes_on(wire: Wire, broker_url, tmp_path):
    async with worker(broker_url, tmp_path):
        client = await nats.connect(broker_url)
        letters = await client.subscribe("carbonshift.dlq.gpu-worker")
        subjects = {"carbonshift.token.local", "carbonshift.state.caiso"}
        for subject in subjects:
            await client.jetstream().publish(subject, b"{}")
        await wire.publish(grid_state(), resume_token(1))
        await wire.allowance(103.0)
        kept = [DeadLetter.model_validate_json((await letters.next_msg(10)).data) for _ in subjects]
        await client.close()
    assert {letter.source_subject for letter in kept} == subjects


async def test_a_worker_outlives_its_broker(tmp_path):
    """Killed and started again on its store, it is heard again: RED arrives, and so do the tokens after it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [find_binary(), "-js", "-sd", tmp_path / "store", "-a", "127.0.0.1", "-p", str(port)]
    url = f"nats://127.0.0.1:{port}"

    def serve():
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    server = serve()
    try:
        async with wire_at(url) as wire, worker(url, tmp_path):
            await wire.publish(grid_state(), resume_token(1))
            await wire.allowance(103.0)
            server.kill()
            server.wait()
            server = serve()
            async with wire_at(url) as wire_again:
                await wire_again.publish(grid_state(Pulse.RED, epoch=2, minute=1))
                await wire_again.event(WorkerEventKind.PAUSED)
                await wire_again.publish(grid_state(epoch=3, minute=2), resume_token(2, epoch=3))
                await wire_again.event(WorkerEventKind.RESUMED)
    finally:
        server.kill()
        server.wait()


async def test_a_job_on_two_hosts_is_paused_and_resumed_by_both(wire: Wire, broker_url, tmp_path: Path):
    """The hosts look often: one of them may have to ask again once the other is heard."""
    given = {"modelled_job": False, "telemetry_seconds": 0.2}

    async def paused() -> set[int]:
        told = {}
        while len(told) < 2:
            event = await wire.event(WorkerEventKind.PAUSED)
            told[event.worker] = event.detail["step"]
        return set(told.values())

    async with (
        worker(broker_url, tmp_path / "a", worker="a", **given) as a,
        worker(broker_url, tmp_path / "b", worker="b", **given) as b,
    ):
        stop = tmp_path / "stop"
        ranks = [train(one, stop, RANK=str(rank), WORLD_SIZE="2") for rank, one in enumerate((a, b))]
        try:
            (first,) = await paused()
            await wire.publish(grid_state(), resume_token(1), resume_token(2))
            await wire.until(JobStatus, lambda status: status.state is RunState.RUNNING and status.step > first)
            await wire.publish(grid_state(Pulse.RED, epoch=2, minute=1))
            (second,) = await paused()
            assert second > first
        finally:
            stop.touch()
            for rank in ranks:
                rank.kill()
                rank.wait()


async def test_sigterm_restores_and_a_wrong_setting_is_one_line(wire: Wire, broker_url, tmp_path: Path):
    environment = os.environ | {
        "NATS_URL": broker_url,
        "CARBONSHIFT_STATE_DIR": str(tmp_path),
        "CARBONSHIFT_WORKER": "bench",
        "CARBONSHIFT_DEVICE_BACKEND": "simulated",
        "CARBONSHIFT_MODELLED_JOB": "true",
    }
    command = [sys.executable, "-m", "carbonshift.gpu_worker"]
    process = started(command, environment)
    await wire.event(WorkerEventKind.CAPPED)
    assert list((tmp_path / "captured-limits").iterdir())
    process.send_signal(signal.SIGTERM)
    assert (await wire.event(WorkerEventKind.RESTORED)).detail["to_w"] == 250.0
    assert process.wait(30) == 0
    assert not list((tmp_path / "captured-limits").iterdir())

    environment["CARBONSHIFT_DEVICE_BACKEND"] = "abacus"
    refused = started(command, environment, stderr=subprocess.PIPE)
    _, said = refused.communicate(timeout=30)
    assert refused.returncode == 2
    assert "nothing is registered as 'abacus'" in said
    assert "Traceback" not in said


async def test_a_part_that_fails_ends_the_worker_as_a_failure(broker_url, tmp_path, monkeypatch):
    async def fails(_):
        raise RuntimeError("a part has failed")

    monkeypatch.setattr(Worker, "watch_time", fails)
    settings = GpuWorkerSettings(
        nats_url=broker_url, state_dir=tmp_path, worker="bench", device_backend="simulated", modelled_job=True
    )
    with pytest.raises(RuntimeError, match="a part has failed"):
        await build(settings).run()
