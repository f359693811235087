"""Real ranks over gloo: paused at one step, every time, and none the wiser."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from carbonshift.common.events import RunState
from carbonshift.gpu_worker.errors import JobUnknownError
from carbonshift.gpu_worker.parking import Tier
from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.training.launch import training_environment

RANKS = Path(__file__).with_name("ranks.py")


class Ranked:
    """A training of two ranks under one control, in a folder of its own."""

    def __init__(self, control: TrainingControl, folder: Path, *arguments: str) -> None:
        self.control, self.folder, self.arguments = control, folder, arguments
        self.folder.mkdir()

    async def start(self, *, controlled: bool) -> asyncio.subprocess.Process:
        kind, steps, *more = self.arguments
        launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
        under = training_environment(self.folder.parent / "control", os.environ, "ranks") if controlled else os.environ
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *launch,
            str(RANKS),
            kind,
            steps,
            str(self.folder),
            *more,
            env=under,
            stderr=subprocess.PIPE,
        )
        return self.process

    async def change(self, kind: str):
        async with asyncio.timeout(60):
            change = await self.control.changes.get()
        assert change.kind == kind
        return change.view

    async def all_joined(self):
        return [await self.change("joined") for _ in range(2)]

    async def result(self) -> str:
        """The digest; what ended torchrun does not count."""
        async with asyncio.timeout(120):
            _, said = await self.process.communicate()
        path = self.folder / "result"
        assert path.exists(), said.decode()[-2_000:]
        return path.read_text()


@pytest.fixture
async def control(tmp_path):
    control = TrainingControl()
    await control.start(tmp_path / "control")
    yield control
    await control.close()


@pytest.fixture
async def ranked(control, tmp_path):
    made = []

    def make(name, *arguments):
        made.append(Ranked(control, tmp_path / name, *arguments))
        return made[-1]

    yield make
    for one in made:
        if one.process.returncode is None:
            one.process.kill()
            await one.process.communicate()


@pytest.mark.parametrize("kind", [pytest.param("DDP", marks=pytest.mark.soak), "FSDP"])
async def test_ranks_are_paused_at_one_step_and_end_with_the_very_parameters_of_those_left_alone(control, ranked, kind):
    """The first pause outlasts the timeout of their collectives, and two boards ask for it at once."""
    alone, paused = ranked("alone", kind, "150", "3"), ranked("paused", kind, "150", "3")
    await alone.start(controlled=False)
    expected = await alone.result()
    await paused.start(controlled=True)
    await paused.all_joined()
    first, same = await asyncio.gather(control.pause("ranks", 60), control.pause("ranks", 60))
    assert first.step == same.step
    await asyncio.sleep(5)
    await control.resume("ranks")
    steps = [first.step]
    for _ in range(4):
        receipt = await control.pause("ranks", 60)
        view = control.jobs["ranks"]
        assert (view.world_size, view.run_state, view.step) == (2, RunState.PAUSED, receipt.step)
        steps.append(receipt.step)
        await control.resume("ranks")
        assert control.jobs["ranks"].run_state is RunState.RUNNING
    assert steps == sorted(set(steps))
    assert await paused.result() == expected


@pytest.mark.soak
async def test_ranks_put_away_and_ranks_that_left_and_began_again_end_with_the_very_parameters(control, ranked):
    alone, parked = ranked("alone", "FSDP", "60"), ranked("parked", "FSDP", "60")
    await alone.start(controlled=False)
    expected = await alone.result()
    await parked.start(controlled=True)
    await parked.all_joined()
    for _ in range(3):
        await control.pause("ranks", 60)
        assert await control.offload("ranks") > 0
        assert await control.offload("ranks") is None
        assert control.jobs["ranks"].parked is Tier.OFFLOAD
        await control.resume("ranks")
    receipt = await control.pause("ranks", 60)
    await control.leave("ranks")
    assert "ranks" not in control.jobs
    await parked.process.communicate()
    assert parked.process.returncode != 0
    assert not (parked.folder / "result").exists()
    assert {path.name for path in parked.folder.glob("*.pt")} == {"0.pt", "1.pt"}
    assert receipt.step < 60
    await parked.change("leaving")
    for _ in range(2):
        await parked.change("left")
    await parked.start(controlled=True)
    assert await parked.result() == expected


async def test_a_rank_that_dies_while_all_are_paused_takes_the_others_pause_with_it(control, ranked):
    training = ranked("ranks", "DDP", "1000000")
    await training.start(controlled=True)
    views = await training.all_joined()
    await control.pause("ranks", 60)
    os.kill(views[1].pid, signal.SIGKILL)
    await training.change("left")
    await training.change("left")  # freed, it meets the error of its next collective, or torchrun ends it
    async with asyncio.timeout(60):
        assert await training.process.wait() != 0
    with pytest.raises(JobUnknownError):
        await control.pause("ranks", 1)
