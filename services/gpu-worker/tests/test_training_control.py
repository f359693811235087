"""The agent against real processes: an ordinary ResNet-18 script, and loops without torch that start at once."""

import asyncio
import grp
import operator
import os
import signal
import socket
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carbonshift.common.events import RunState
from carbonshift.gpu_worker.errors import (
    ControlSocketError,
    JobUnknownError,
    PauseInterruptedError,
    PauseTimeoutError,
    SeveralProcessesError,
)
from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.training.launch import training_environment

REPOSITORY = Path(__file__).parents[3]
SOURCES = REPOSITORY / "libs/training/src"

LOOP = """
import os, sys
from datetime import UTC, datetime
sys.path[:0] = [{sources!r}]
from carbonshift.training.autoload import join
from carbonshift.training.declaration import Declaration
from carbonshift.training.gate import gate
opened = gate(join)
deadline = datetime.fromtimestamp(1_900_000_000, UTC)
opened.declare(Declaration(remaining_steps=1_000_000_000, deadline=deadline, usd_per_gpu_hour=2.5))
while True:
    opened.step_done()
    if os.path.exists({stop!r}):
        break
"""

KILLED = """
import asyncio, fcntl, signal, sys, termios
from pathlib import Path
from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.training.page import ACK

async def main():
    control = TrainingControl(lease_seconds=60)
    await control.start(Path(sys.argv[1]))
    print("listening", flush=True)
    while len(control.jobs) < 8:
        await control.changes.get()
    processes = control._processes
    for process in processes:  # its own loop stands still: what they say is not read
        process.target(0)
        while not process.quiet:
            if process.words[ACK]:
                process.agree(process.words[ACK])
    unread = [any(fcntl.ioctl(process.connection, termios.FIONREAD, bytes(4))) for process in processes]
    print(sum(unread), "have bytes unread", flush=True)
    signal.pause()

asyncio.run(main())
"""


class Trainings:
    """Starts loops under one control and waits for what it says of them."""

    def __init__(self, control: TrainingControl, folder: Path) -> None:
        self.control, self.path, self.stop = control, folder / "control", folder / "stop"
        self.processes: list[asyncio.subprocess.Process] = []

    async def spawn(self, *command: str, job: str = "loop", **environment: str) -> asyncio.subprocess.Process:
        env = training_environment(self.path, os.environ, job) | environment
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.processes.append(process)
        return process

    async def loop(self, **environment: str) -> asyncio.subprocess.Process:
        script = LOOP.format(sources=str(SOURCES), stop=str(self.stop))
        return await self.spawn("-c", script, **environment)

    async def change(self, kind: str):
        async with asyncio.timeout(60):
            change = await self.control.changes.get()
        assert change.kind == kind
        return change.view

    async def ended(self, process: asyncio.subprocess.Process) -> tuple[int, str, str]:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def trainings(tmp_path):
    control = TrainingControl()
    await control.start(tmp_path / "control")
    started = Trainings(control, tmp_path)
    yield started
    for process in started.processes:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    await control.close()


async def test_a_resnet_paused_twice_prints_the_very_lines_of_one_left_alone(trainings):
    script = str(REPOSITORY / "examples/resnet18.py")
    command = (script, "--steps", "8", "--batch-size", "2", "--threads", "1", "--log-every", "1")
    alone = await trainings.spawn(*command, CARBONSHIFT_CONTROL="")
    paused = await trainings.spawn(*command, job="resnet")
    view = await trainings.change("joined")
    assert (view.job, view.pid, view.world_size) == ("resnet", paused.pid, 1)
    first = await trainings.control.pause("resnet", 60)
    assert trainings.control.jobs["resnet"].run_state is RunState.PAUSED
    assert trainings.control.jobs["resnet"].step == first.step
    assert first.memory_used_bytes > 4 * 11_000_000  # the parameters alone
    await trainings.control.resume("resnet")
    second = await trainings.control.pause("resnet", 60)
    assert first.step < second.step < 8
    await trainings.control.resume("resnet")
    last = await trainings.change("left")
    assert last.step == 8
    assert last.run_state is RunState.RUNNING
    assert await trainings.ended(paused) == await trainings.ended(alone)
    assert trainings.control.jobs == {}


async def test_a_job_is_seen_as_it_runs_pauses_and_ends(trainings):
    process = await trainings.loop()
    await trainings.change("joined")
    receipt = await trainings.control.pause("loop", 60)
    view = trainings.control.jobs["loop"]
    assert view.step == receipt.step >= 1
    assert view.steps_per_s == 0.0
    assert view.remaining_steps == 1_000_000_000 - receipt.step
    assert view.deadline == datetime(2030, 3, 17, 17, 46, 40, tzinfo=UTC)
    assert view.usd_per_gpu_hour == 2.5
    assert (await trainings.control.pause("loop", 60)).step == receipt.step  # paused already
    await trainings.control.resume("loop")
    assert trainings.control.jobs["loop"].run_state is RunState.RUNNING
    process.kill()
    assert (await trainings.change("left")).step >= receipt.step


async def test_a_job_of_several_processes_is_refused_and_not_touched(trainings):
    """Each would stop at a step of its own, and the collectives of the others hang."""
    process = await trainings.loop(WORLD_SIZE="2", RANK="1")
    assert (await trainings.change("joined")).world_size == 2
    with pytest.raises(SeveralProcessesError, match="2 processes"):
        await trainings.control.pause("loop", 60)
    trainings.stop.touch()
    assert await trainings.ended(process) == (0, "", "")


async def test_two_processes_of_one_name_are_one_job_that_cannot_be_paused(trainings):
    for _ in range(2):
        await trainings.loop()
        await trainings.change("joined")
    assert trainings.control.jobs["loop"].world_size == 2
    with pytest.raises(SeveralProcessesError):
        await trainings.control.pause("loop", 60)


async def test_a_process_that_does_not_come_to_rest_in_time_is_let_go(trainings, freeze):
    process = await trainings.loop()
    await trainings.change("joined")
    freeze(process)
    with pytest.raises(PauseTimeoutError, match=r"within 0\.05 s"):
        await trainings.control.pause("loop", 0.05)
    trainings.stop.touch()
    process.send_signal(signal.SIGCONT)
    assert await trainings.ended(process) == (0, "", "")


async def stopped(trainings, freeze):
    """A process that can neither step nor end by itself, and a pause that waits for it."""
    process = await trainings.loop()
    await trainings.change("joined")
    freeze(process)
    pause = asyncio.create_task(trainings.control.pause("loop", 60))
    await asyncio.sleep(0)  # let it ask
    return process, pause


async def test_a_pause_ends_with_its_process(trainings, freeze):
    process, pause = await stopped(trainings, freeze)
    process.kill()
    with pytest.raises(PauseInterruptedError, match="ended"):
        await pause


async def test_a_resume_calls_off_a_pause_under_way(trainings, freeze):
    _, pause = await stopped(trainings, freeze)
    await trainings.control.resume("loop")
    with pytest.raises(PauseInterruptedError, match="resumed"):
        await pause


async def test_a_cancelled_pause_leaves_nothing_behind(trainings, freeze):
    process, pause = await stopped(trainings, freeze)
    pause.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pause
    trainings.stop.touch()
    process.send_signal(signal.SIGCONT)
    assert await trainings.ended(process) == (0, "", "")


async def test_an_unknown_job_is_an_error(trainings):
    with pytest.raises(JobUnknownError, match="those here: none"):
        await trainings.control.pause("nobody", 1)
    with pytest.raises(JobUnknownError):
        await trainings.control.resume("nobody")


async def test_closing_lets_the_paused_go_in_silence(trainings):
    process = await trainings.loop()
    await trainings.change("joined")
    await trainings.control.pause("loop", 60)
    trainings.stop.touch()
    await trainings.control.close()
    code, _, err = await trainings.ended(process)
    assert code == 0
    assert err in ("", "carbonshift: the agent is gone; the training goes on by itself\n")
    assert not trainings.path.exists()


async def test_the_heartbeat_outlasts_a_lease(tmp_path):
    """A pause far longer than the lease holds for as long as the agent lives."""
    control = TrainingControl(lease_seconds=1.0)
    await control.start(tmp_path / "control")
    trainings = Trainings(control, tmp_path)
    process = await trainings.loop()
    await trainings.change("joined")
    receipt = await control.pause("loop", 60)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(control.changes.get(), 2.5)
    assert control.jobs["loop"].step == receipt.step
    process.kill()
    await trainings.change("left")
    await process.communicate()
    await control.close()


async def test_two_hundred_pauses_leave_nothing_behind(trainings):
    process = await trainings.loop()
    await trainings.change("joined")

    async def pause(times):
        for _ in range(times):
            await trainings.control.pause("loop", 60)
            await trainings.control.resume("loop")

    async def held():
        """Descriptors and threads of both, and tasks; once the training is well beyond its last wait."""
        step = trainings.control.jobs["loop"].step
        while trainings.control.jobs["loop"].step < step + 10:
            await asyncio.sleep(0.001)
        folders = [Path(f"/proc/{pid}/{what}") for pid in (process.pid, os.getpid()) for what in ("fd", "task")]
        return [*(len([*folder.iterdir()]) for folder in folders), len(asyncio.all_tasks())]

    await pause(10)
    before = await held()
    await pause(200)
    after = await held()
    assert all(map(operator.le, after, before)), (before, after)


async def test_eight_paused_trainings_outlive_an_agent_killed_with_their_bytes_unread(tmp_path):
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path / "control"), stdout=subprocess.PIPE
    )
    assert await agent.stdout.readline() == b"listening\n"
    trainings = Trainings(None, tmp_path)
    try:
        for number in range(8):
            await trainings.spawn(
                "-c", LOOP.format(sources=str(SOURCES), stop=str(trainings.stop)), job=f"loop-{number}"
            )
        assert await agent.stdout.readline() == b"8 have bytes unread\n"
        trainings.stop.touch()
        agent.kill()
        ends = [await trainings.ended(process) for process in trainings.processes]
        assert ends == 8 * [(0, "", "carbonshift: the agent is gone; the training goes on by itself\n")]
    finally:
        for process in (agent, *trainings.processes):
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def test_a_dead_agents_socket_is_replaced_a_living_ones_is_not(tmp_path):
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first, second = TrainingControl(), TrainingControl()
    await first.start(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ControlSocketError, match="another agent"):
        await second.start(path)
    await second.close()
    assert path.exists()
    await first.close()


@pytest.mark.parametrize("name", ["file", "missing/control", "x" * 120])
async def test_a_path_that_cannot_be_listened_at_is_an_error(tmp_path, name):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ControlSocketError):
        await TrainingControl().start(tmp_path / name)
    assert (tmp_path / "file").read_text() == "precious"


async def test_a_stranger_that_talks_nonsense_is_turned_away_with_the_reason(trainings):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.setblocking(False)
        await loop.sock_connect(stranger, str(trainings.path))
        await loop.sock_sendall(stranger, b'{"protocol": 99}\n')
        assert b"protocol 1" in await loop.sock_recv(stranger, 4096)
    assert trainings.control.jobs == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_another_users_process_is_turned_away(trainings, tmp_path):
    """The file's mode stops it first; here the mode is opened to show that the kernel's word counts too."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    trainings.path.chmod(0o666)
    script = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        's.send(b"{}\\n"); print(s.recv(4096).decode())'
    )
    stranger = await trainings.spawn("-S", "-c", script, str(trainings.path))
    code, out, err = await trainings.ended(stranger)
    assert (code, err) == (0, "")
    assert "not uid 65534" in out


STRANGER = """
import os, socket, sys
from carbonshift.training.wire import Hello, RefusedError, ask
path, job, *groups = sys.argv[1:]
os.setgroups([int(group) for group in groups])
os.setgid(65534)
os.setuid(65534)
agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
agent.settimeout(30)
try:
    agent.connect(path)
    ask(agent, Hello(job=job, rank=0, world_size=1))
    print("joined")
except (RefusedError, PermissionError) as error:
    print(error)
"""


@pytest.fixture
def open_folder():
    """One that a stranger gets into."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def told(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STRANGER, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    return out.decode() + err.decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_members_of_the_group_may_join_and_touch_no_job_but_their_own(open_folder):
    group, control = grp.getgrall()[-1], TrainingControl()
    await control.start(open_folder / "control", group.gr_name)
    trainings = Trainings(control, open_folder)
    try:
        process = await trainings.loop()
        await trainings.change("joined")
        path = str(open_folder / "control")
        assert "Permission denied" in await told(path, "own")
        assert await told(path, "own", str(group.gr_gid)) == "joined\n"
        assert await told(path, "loop", str(group.gr_gid)) == "job loop is of another user\n"
        process.kill()
        await process.communicate()
    finally:
        await control.close()


async def test_a_group_that_is_none_is_refused_and_leaves_no_socket(tmp_path):
    with pytest.raises(ControlSocketError, match="there is no group nobodys-group"):
        await TrainingControl().start(tmp_path / "control", "nobodys-group")
    assert not (tmp_path / "control").exists()
