"""What tests of the whole need: commands run as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from carbonshift.cli.main import main; main()")


@pytest.fixture
def carbonshift(tmp_path):
    """Runs `carbonshift ...` to its end, with a state folder of its own."""

    def run(*arguments, timeout=60, **environment):
        env = os.environ | {"CARBONSHIFT_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "200"} | environment
        return subprocess.run(
            [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=env, check=False
        )

    return run


@pytest.fixture
def start():
    """Starts a module as a process and ends it after the test: `start("carbonshift.decide", NATS_URL=...)`."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(module, log=os.devnull, **environment):
        with Path(log).open("ab") as sink:
            process = subprocess.Popen([sys.executable, "-m", module], env=os.environ | environment, stderr=sink)
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.terminate()
    for process in running:
        process.wait(30)


@pytest.fixture(scope="session")
def repository():
    return Path(__file__).parents[1]
