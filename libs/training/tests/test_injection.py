"""Real torch, in interpreters of its own: an unmodified script gives the same bits whatever was done to it."""

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from carbonshift.training.launch import INJECT, training_environment
from carbonshift.training.page import RUN

TRAIN = """
import hashlib, sys
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(32, 1))
optimizer = torch.optim.AdamW(model.parameters())
for step in range(60):
    x = torch.randn(8, 16)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item().hex())
print(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
"""

HIDES_OUR_INSTALLATION = """
import sys
sys.path[:] = [entry for entry in sys.path if not entry.endswith("libs/training/src")]
print("the next sitecustomize ran", file=sys.stderr)
"""


def launched(script: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(script)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left_alone(script: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the script prints where nothing of ours is."""
    threads = torch.get_num_threads()
    runpy.run_path(str(script))
    torch.set_num_threads(threads)
    return capsys.readouterr().out


def test_paused_resumed_or_bereft_of_its_agent_a_training_gives_the_same_bits(tmp_path, agent, zombie, capsys):
    """Two ways in, too: torch's entry point; and sitecustomize, our files loaded by path since none is installed."""
    script, behind = tmp_path / "train.py", tmp_path / "behind"
    behind.mkdir()
    script.write_text(TRAIN)
    (behind / "sitecustomize.py").write_text(HIDES_OUR_INSTALLATION)
    base = dict(os.environ)
    without_entry_points = base | {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", "PYTHONPATH": str(behind)}
    paused = launched(script, training_environment(agent.path, base, "paused"))
    orphan = launched(script, training_environment(zombie.path, without_entry_points, "orphan"))
    try:
        agent.admit(target=0)
        for step in (1, 2, 20, 59):
            agent.release(step)
            agent.quiet(step)
        agent.release(RUN)
        expected = left_alone(script, capsys)
        assert len(expected.split()) == 121
        assert paused.communicate(timeout=60) == (expected, "")
        assert orphan.communicate(timeout=60) == (
            expected,
            "the next sitecustomize ran\ncarbonshift: the agent is gone; the training goes on by itself\n",
        )
        assert zombie.process.wait() == -signal.SIGKILL
    finally:
        for process in (paused, orphan):
            process.kill()
            process.communicate()


def test_the_environment_keeps_what_was_there(tmp_path):
    env = training_environment(tmp_path / "control", {"PYTHONPATH": "/mine", "HOME": "/home/me"}, "a-job")
    assert env == {
        "CARBONSHIFT_CONTROL": str(tmp_path / "control"),
        "CARBONSHIFT_JOB": "a-job",
        "HOME": "/home/me",
        "PYTHONPATH": f"{INJECT}{os.pathsep}/mine",
    }


@pytest.mark.parametrize("job", ["", "a.b", "a b", "*", "x" * 65, "a\n"])
def test_a_job_name_that_is_no_subject_token_is_refused(tmp_path, job):
    with pytest.raises(ValueError, match="job name"):
        training_environment(tmp_path, {}, job)


def test_the_injected_folder_registers_the_hooks_of_the_distribution():
    """Where ours is not installed, only the folder's metadata is seen."""
    injected = next(INJECT.glob("*.dist-info")) / "entry_points.txt"
    ours = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    hooks = injected.read_text().partition("[carbonshift.hooks]\n")[2].split("\n\n")[0].strip().splitlines()
    declared = ours.partition('[project.entry-points."carbonshift.hooks"]\n')[2].split("\n\n")[0].strip().splitlines()
    assert hooks == [line.replace('"', "") for line in declared]
