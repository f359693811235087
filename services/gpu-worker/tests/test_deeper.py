"""Deeper than rest, and back: a real control, loops without torch, and what begins a training again."""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from carbonshift.common.events import RunState
from carbonshift.gpu_worker.deeper import LEAVE_STEPS
from carbonshift.gpu_worker.errors import CannotParkError, NotAtRestError, PauseInterruptedError, PauseTimeoutError
from carbonshift.gpu_worker.parking import Tier
from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.training import begin_again
from carbonshift.training.launch import training_environment

LEAVES = """
import os, sys
from carbonshift.training import autoload, leave_if_asked
from carbonshift.training.autoload import join
from carbonshift.training.gate import gate
from carbonshift.training.declaration import Declaration
autoload._gate = opened = gate(join)
opened.declare(Declaration.of(os.environ))
stop, saved, every = sys.argv[1], sys.argv[2], int(sys.argv[3])
begun = int(open(saved).read()) if os.path.exists(saved) else 0
step = 0
while not os.path.exists(stop):
    opened.step_done()
    step += 1
    if step % every == 0:
        leave_if_asked(lambda: open(saved, "w").write(str(begun + step)))
print("done after", begun, flush=True)
"""


class Leaving:
    """A training that may leave, and what begins it again, under one control."""

    def __init__(self, folder) -> None:
        self.folder, self.control = folder, TrainingControl(lease_seconds=2.0)
        self.stop, self.saved = folder / "stop", folder / "saved"
        self.started = []

    async def start(self, *, every: int = 1, supervised: bool = True, **environment: str) -> asyncio.subprocess.Process:
        command = [sys.executable, "-c", LEAVES, str(self.stop), str(self.saved), str(every)]
        before = [sys.executable, "-P", "-m", begin_again.__name__] if supervised else []
        under = training_environment(self.folder / "control", os.environ, "job") | environment
        process = await asyncio.create_subprocess_exec(
            *before, *command, env=under, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.started.append(process)
        return process

    async def change(self, kind):
        async with asyncio.timeout(60):
            change = await self.control.changes.get()
        assert change.kind == kind
        return change.view

    async def paused(self):
        """The receipt, once it has been where it can be left."""
        async with asyncio.timeout(60):
            while not self.control.jobs["job"].may_leave:
                await asyncio.sleep(0.01)
        return await self.control.pause("job", 60)

    async def left(self):
        """The view of the job once it has been paused and has left."""
        await self.paused()
        await self.control.leave("job")
        await self.change("leaving")
        await self.change("left")
        return self.control.jobs["job"]

    async def ended(self, process) -> tuple[int, str, str]:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def leaving(tmp_path):
    one = Leaving(tmp_path)
    await one.control.start(tmp_path / "control")
    yield one
    for process in one.started:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    await one.control.close()


async def test_it_leaves_is_stood_in_for_and_begun_again_where_it_was(leaving):
    process = await leaving.start(CARBONSHIFT_TOTAL_STEPS="1000000000")
    await leaving.change("joined")
    step = 0
    for _ in range(2):
        view = await leaving.left()
        assert (view.run_state, view.parked, view.memory_used_bytes) == (RunState.PAUSED, Tier.CHECKPOINT, 0)
        step += view.step
        assert leaving.saved.read_text() == str(step)
        assert view.remaining_steps == 10**9 - step
        assert (await leaving.control.pause("job", 1)).step == view.step  # at rest it is
        await leaving.control.resume("job")
        assert leaving.control.jobs["job"].run_state is RunState.PAUSED  # until it is back
        again = await leaving.change("joined")
        assert (again.run_state, again.parked) == (RunState.RUNNING, Tier.HOLD)
    leaving.stop.touch()
    status, out, err = await leaving.ended(process)
    assert (status, out) == (0, f"done after {step}\n")
    assert err.count("left the device after") == err.count("the training is begun again") == 2
    await leaving.change("left")
    assert "job" not in leaving.control.jobs


async def test_resumed_while_it_leaves_it_is_begun_again_at_once(leaving):
    await leaving.start()
    await leaving.change("joined")
    await leaving.paused()
    going = asyncio.create_task(leaving.control.leave("job"))
    await asyncio.sleep(0)
    await leaving.control.resume("job")
    await going
    await leaving.change("leaving")
    await leaving.change("left")
    await leaving.change("joined")


async def test_one_that_nobody_begins_again_has_ended(leaving):
    process = await leaving.start(supervised=False)
    await leaving.change("joined")
    await leaving.paused()
    await leaving.control.leave("job")
    assert (await leaving.ended(process))[0] == 75
    await leaving.change("leaving")
    await leaving.change("left")
    assert "job" not in leaving.control.jobs


async def test_one_that_is_seldom_where_it_can_be_left_stays_at_rest(leaving):
    await leaving.start(every=100 * LEAVE_STEPS, supervised=False)
    await leaving.change("joined")
    receipt = await leaving.paused()
    if receipt.step % (100 * LEAVE_STEPS) > 99 * LEAVE_STEPS:
        await leaving.control.resume("job")
        receipt = await leaving.control.pause("job", 60)
    with pytest.raises(CannotParkError, match="has done 16 steps and not come to where it can be left"):
        await leaving.control.leave("job")
    after = await leaving.control.pause("job", 60)
    assert after.step == receipt.step + LEAVE_STEPS
    assert leaving.control.jobs["job"].parked is Tier.HOLD


async def test_one_that_never_says_where_it_can_be_left_and_one_that_runs_are_refused(leaving):
    await leaving.start(every=10**9, supervised=False)
    await leaving.change("joined")
    for act in (leaving.control.leave, leaving.control.offload):
        with pytest.raises(NotAtRestError, match="is not at rest"):
            await act("job")
    await leaving.control.pause("job", 60)
    with pytest.raises(CannotParkError, match="does not say where it can be left"):
        await leaving.control.leave("job")
    with pytest.raises(CannotParkError, match="stays on its devices"):
        await leaving.control.offload("job")  # there is no torch in it
    assert leaving.control.jobs["job"].run_state is RunState.PAUSED


async def test_one_that_fails_to_save_and_ends_is_not_waited_for(leaving):
    leaving.saved.symlink_to(leaving.folder / "absent" / "saved")
    process = await leaving.start()
    await leaving.change("joined")
    await leaving.paused()
    with pytest.raises(PauseInterruptedError, match="ended before all of it had saved"):
        await leaving.control.leave("job")
    status, _, err = await leaving.ended(process)
    assert (status, "No such file" in err) == (1, True)
    await leaving.change("leaving")
    await leaving.change("left")
    assert "job" not in leaving.control.jobs


@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_an_agent_that_dies_while_it_is_away_lets_it_begin_again_unless_it_fails_closed(leaving, fail):
    process = await leaving.start(CARBONSHIFT_FAIL=fail)
    await leaving.change("joined")
    await leaving.left()
    (leaving.folder / "control").unlink()
    for held in leaving.control._processes:  # as its death would
        held.connection.shutdown(socket.SHUT_RDWR)
    assert b"left the device" in await process.stderr.readline()
    said = (await process.stderr.readline()).decode()
    assert said.endswith("the training is begun again\n" if fail == "open" else "it waits for an agent\n")
    await leaving.control.close()
    leaving.control = TrainingControl()
    await leaving.control.start(leaving.folder / "control")
    view = await leaving.change("joined")
    if fail == "closed":  # with the new one it is as with the old one
        assert (view.run_state, view.parked) == (RunState.PAUSED, Tier.CHECKPOINT)
        await leaving.control.resume("job")
        view = await leaving.change("joined")
    assert (view.run_state, view.parked) == (RunState.RUNNING, Tier.HOLD)


@pytest.mark.parametrize("waits", [False, True])
async def test_what_begins_it_again_ends_on_sigterm_and_begins_nothing(leaving, waits):
    process = await leaving.start()
    await leaving.change("joined")
    await leaving.left()
    if waits:
        assert b"left the device" in await process.stderr.readline()
        await asyncio.sleep(0.2)  # by now it may wait: it ends in either case
    process.terminate()
    assert (await leaving.ended(process))[0] == -signal.SIGTERM
    await leaving.change("left")
    assert "job" not in leaving.control.jobs


async def test_a_pause_that_waits_for_what_leaves_gives_up_in_its_time(leaving):
    """And the one that leaves, resumed meanwhile, trains on where it has not come to where it can."""
    await leaving.start(every=100 * LEAVE_STEPS, supervised=False)
    await leaving.change("joined")
    receipt = await leaving.paused()
    (process,) = leaving.control._members("job")
    os.kill(process.pid, signal.SIGSTOP)
    going = asyncio.create_task(leaving.control.leave("job"))
    await leaving.change("leaving")
    view = leaving.control.jobs["job"]
    assert view.leaving
    with pytest.raises(PauseTimeoutError, match="already"):
        await leaving.control.pause("job", 0.1)
    await leaving.control.resume("job")
    os.kill(process.pid, signal.SIGCONT)
    with pytest.raises(CannotParkError):
        await going
    after = await leaving.control.pause("job", 60)
    assert after.step > receipt.step + LEAVE_STEPS
    assert not leaving.control.jobs["job"].leaving


async def test_a_rank_that_dies_while_the_job_leaves_frees_the_others(leaving):
    places = [{"RANK": str(rank), "WORLD_SIZE": "2"} for rank in range(2)]
    first, second = [await leaving.start(supervised=False, **place) for place in places]
    for _ in range(2):
        await leaving.change("joined")
    await leaving.paused()
    os.kill(first.pid, signal.SIGSTOP)
    going = asyncio.create_task(leaving.control.leave("job"))
    await leaving.change("leaving")
    first.kill()
    with pytest.raises(PauseInterruptedError, match="before all of it had saved"):
        await going
    leaving.stop.touch()
    assert (await leaving.ended(second))[0] in (0, 75)


async def test_another_training_of_that_name_does_not_take_the_one_that_is_away_with_it(leaving):
    process = await leaving.start()
    await leaving.change("joined")
    await leaving.left()
    stranger = await leaving.start(supervised=False)
    await leaving.change("joined")
    stranger.kill()
    await leaving.change("left")
    view = leaving.control.jobs["job"]
    assert (view.run_state, view.parked) == (RunState.PAUSED, Tier.CHECKPOINT)
    await leaving.control.resume("job")
    await leaving.change("joined")
    leaving.stop.touch()
    assert (await leaving.ended(process))[0] == 0
