"""A worker that parks deeper than holding: a real broker, real trainings, a simulated board."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carbonshift.common.events import JobStatus, Pulse, RunState, WorkerEventKind, WorkerTelemetry
from carbonshift.gpu_worker.parking import Tier
from carbonshift.training import begin_again
from carbonshift.training.launch import training_environment

TRAINING = """
import hashlib, os, sys, torch
from carbonshift.training import leave_if_asked
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Linear(64, 64)
optimizer = torch.optim.AdamW(model.parameters())
stop, saved = sys.argv[1:]
if os.path.exists(saved):
    model.load_state_dict(torch.load(saved))
while not os.path.exists(stop):
    optimizer.zero_grad()
    model(torch.randn(8, 64)).square().mean().backward()
    optimizer.step()
    leave_if_asked(lambda: torch.save(model.state_dict(), saved))
print(model.weight.isfinite().all().item())
"""
MODEL_BYTES = 4 * (64 * 64 + 64)


@pytest.fixture
def app_tests(module_at):
    """What tests of a whole worker have at hand."""
    return module_at(Path(__file__).with_name("test_app.py"))


@pytest.fixture
async def wire(app_tests, broker_url):
    async with app_tests.wire_at(broker_url) as wire:
        yield wire


@pytest.fixture
def train(tmp_path):
    started = []

    def run(settings):
        environment = training_environment(settings.control_path, os.environ, "job")
        command = [sys.executable, "-P", "-m", begin_again.__name__, sys.executable, "-c", TRAINING]
        process = subprocess.Popen(
            [*command, str(tmp_path / "stop"), str(tmp_path / "saved")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ends_well(process, stop: Path) -> None:
    stop.touch()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "True\n"), err


async def test_what_is_put_away_in_red_is_back_in_green(app_tests, wire, broker_url, tmp_path, train):
    async with app_tests.worker(broker_url, tmp_path, modelled_job=False, parking=[Tier.OFFLOAD]) as settings:
        process = train(settings)
        await wire.publish(app_tests.grid_state(), app_tests.resume_token(1))
        await wire.event(WorkerEventKind.RESUMED)
        await wire.publish(app_tests.grid_state(Pulse.RED, epoch=2, minute=1))
        await wire.event(WorkerEventKind.PAUSED)
        parked = (await wire.event(WorkerEventKind.PARKED)).detail
        assert (parked["job"], parked["tier"]) == ("job", "offload")
        assert parked["freed_bytes"] >= 4 * MODEL_BYTES - 8  # parameters, gradients, two moments
        await wire.publish(app_tests.grid_state(epoch=3, minute=2), app_tests.resume_token(2, epoch=3))
        await wire.event(WorkerEventKind.RESUMED)
        await asyncio.to_thread(ends_well, process, tmp_path / "stop")


async def test_what_has_left_in_red_is_begun_again_in_green_and_never_ended(
    app_tests, wire, broker_url, tmp_path, train
):
    parking = [Tier.HOLD, Tier.CHECKPOINT]
    async with app_tests.worker(
        broker_url, tmp_path, modelled_job=False, parking=parking, telemetry_seconds=1.0
    ) as settings:
        process = train(settings)
        await wire.publish(app_tests.grid_state(), app_tests.resume_token(1))
        await wire.event(WorkerEventKind.RESUMED)
        await wire.until(JobStatus, lambda status: status.state is RunState.RUNNING and status.step > 10)
        await wire.publish(app_tests.grid_state(Pulse.RED, epoch=2, minute=1))
        await wire.event(WorkerEventKind.PAUSED)
        await wire.publish(app_tests.job_plan("paused", "paused", 1.0, job="job"))  # in two hours it goes on
        parked = (await wire.event(WorkerEventKind.PARKED)).detail
        assert (parked["tier"], parked["break_even_seconds"] <= 7_200.0) == ("checkpoint", True)
        away = await wire.until(WorkerTelemetry, lambda telemetry: telemetry.power_w == 25.0)  # a bare board's
        assert (away.run_state, away.job, away.memory_used_bytes) == (RunState.PAUSED, "job", 0)
        assert (tmp_path / "saved").exists()
        await wire.publish(
            app_tests.job_plan(1.0, job="job", ago=0.1),
            app_tests.grid_state(epoch=3, minute=2),
            app_tests.resume_token(2, epoch=3, watts=500.0),
        )
        status = await wire.until(JobStatus, lambda status: status.state is not RunState.PAUSED)
        assert status.state is RunState.RUNNING
        again = await wire.until(JobStatus, lambda status: status.state is RunState.ENDED or status.step > 10)
        assert again.state is RunState.RUNNING
        await asyncio.to_thread(ends_well, process, tmp_path / "stop")
