"""A hand-held agent: a real socket and a real page, each move made by the test."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from carbonshift.training import page
from carbonshift.training.autoload import HOOKS
from carbonshift.training.launch import training_environment
from carbonshift.training.wire import MESSAGE_BYTES, Hello, refuse, welcome

SOURCES = Path(__file__).parents[1] / "src"


class Agent:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(60)

    def admit(self, target: int, lease_ms: int = 60_000) -> None:
        """Let the next process join; it finds `target` in its page."""
        self.process, _ = self.listener.accept()
        self.process.settimeout(60)
        self.hello = Hello.of(self.process.recv(MESSAGE_BYTES))
        fd = page.create()
        self.words = page.attach(os.dup(fd))
        self.words[page.TARGET], self.words[page.LEASE_MS] = target, lease_ms
        welcome(self.process, fd)
        os.close(fd)

    def refuse(self, reason: str) -> None:
        process, _ = self.listener.accept()
        process.recv(MESSAGE_BYTES)
        refuse(process, reason)
        process.close()

    def quiet(self, step: int) -> None:
        """Wait until the process is at rest at `step`, agreeing that this is the step."""
        self.words[page.AGREED] = step
        while self.words[page.QUIET] != step:
            assert self.process.recv(256), "the process is gone"

    def release(self, target: int) -> None:
        self.words[page.TARGET] = target
        self.process.send(b".")

    def hang_up(self) -> None:
        if hasattr(self, "process"):
            self.process.close()
        self.listener.close()


@pytest.fixture
def agent(tmp_path):
    held = Agent(tmp_path / "control")
    yield held
    held.hang_up()


class Zombie(NamedTuple):
    process: subprocess.Popen[str]
    path: Path


@pytest.fixture
def zombie(tmp_path):
    """An agent that pauses the first process to come, at its first step, and is killed with its bytes unread."""
    path = tmp_path / "zombie"
    script = KILLED_WITH_UNREAD_BYTES.format(sources=str(SOURCES), control=str(path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "listening\n"
        yield Zombie(process, path)
        process.kill()


@pytest.fixture
def loop(tmp_path, agent):
    """Start a training without torch: a loop whose steps a plug-in from outside the tree reports."""
    folder = tmp_path / "plugin"
    metadata = folder / "loop_hook-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: loop-hook\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[carbonshift.hooks]\nloop = loop_hook:Loop\n")
    (folder / "loop_hook.py").write_text(LOOP_HOOK)
    started = []

    def run(script: str, control: Path = agent.path) -> subprocess.Popen[str]:
        head = f"import sys; sys.path[:0] = {[str(SOURCES), str(folder)]}\nfrom carbonshift.training import session\n"
        process = subprocess.Popen(
            [sys.executable, "-c", head + script],
            env=training_environment(control, os.environ, "job") | {HOOKS: "loop"},
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


KILLED_WITH_UNREAD_BYTES = """
import os, signal, socket, sys
sys.path[:0] = [{sources!r}]
from carbonshift.training import page, wire
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind({control!r})
listener.listen()
print("listening", flush=True)
process, _ = listener.accept()
process.recv(wire.MESSAGE_BYTES)
fd = page.create()
words = page.attach(os.dup(fd))
words[page.LEASE_MS] = 60_000
wire.welcome(process, fd)
while not words[page.ACK]:
    process.recv(1, socket.MSG_PEEK)  # left unread
os.kill(os.getpid(), signal.SIGKILL)
"""

LOOP_HOOK = """
class Loop:
    name = "loop"

    def install(self, step_done):
        type(self).step = staticmethod(step_done)
        return lambda: None
"""
