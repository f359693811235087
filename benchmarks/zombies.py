"""A hundred paused trainings lose their agent: none hangs, none dies, each ends with the parameters of one left alone.

    python benchmarks/zombies.py [--trainings N]

The agent, a real TrainingControl in a process of its own, is killed while it has bytes of half of the trainings unread,
and in a second run stopped for good, so that its lease has to end the pauses. Ends with 1 where a training fails.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from control_agent import agent_process
from under_control import TRAININGS

from carbonshift.training.launch import training_environment

STEPS = 300
PACE_SECONDS = 0.005
"""Long enough that none is done before it is paused."""
STANDING_SECONDS = 1.0
"""Longer than anything but the pause keeps a training from its next step."""
PATIENCE_SECONDS = 120.0
KILLED_LEASE_SECONDS = 60.0
"""Far beyond what is measured: it is the agent's end that lets them go."""
STOPPED_LEASE_SECONDS = 5.0


@contextmanager
def nursery(control: Path | None, stderr: Path, pace_seconds: float) -> Iterator[subprocess.Popen[str]]:
    """What trainings are forked from; under the agent at `control`, if any."""
    env = dict(os.environ) if control is None else training_environment(control, os.environ, "seed")
    command = [sys.executable, str(TRAININGS / "nursery.py"), str(STEPS), str(pace_seconds)]
    with (
        stderr.open("w") as errors,
        subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            bufsize=1,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def ends(process: subprocess.Popen[str]) -> tuple[dict[int, dict[str, Any]], dict[int, int]]:
    """What each training said in the end, and their exit codes: by seed, as far as there are any in time."""
    given_up = threading.Timer(PATIENCE_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    given_up.start()
    said, codes = {}, {}
    process.stdin.close()
    for line in process.stdout:
        one = json.loads(line)
        if "codes" in one:
            codes = {int(seed): code for seed, code in one["codes"].items()}
        else:
            said[one["seed"]] = one
    given_up.cancel()
    return said, codes


def bereave(trainings: int, how: signal.Signals, right: dict[int, str], folder: Path) -> bool:
    """Have that many trainings paused, and their agent killed or stopped. Returns whether all did well."""
    lease_seconds = KILLED_LEASE_SECONDS if how is signal.SIGKILL else STOPPED_LEASE_SECONDS
    control, stderr = folder / how.name, folder / f"stderr-{how.name}"
    jobs = [f"seed-{seed}" for seed in range(trainings)]
    with agent_process(control, lease_seconds) as agent, nursery(control, stderr, PACE_SECONDS) as process:
        for seed, job in enumerate(jobs):
            print(seed, file=process.stdin)
            print("pause", job, file=agent.stdin)
            if agent.stdout.readline().split()[0] != job:
                raise SystemExit(f"{job} could not be paused")
        unread = 0
        if how is signal.SIGKILL:
            print("hang", *jobs[::2], file=agent.stdin)
            unread = int(agent.stdout.readline())
            time.sleep(STANDING_SECONDS)
        agent.send_signal(how)
        ended_at = time.monotonic()
        said, codes = ends(process)
    went_on = {
        seed: until - ended_at
        for seed, one in said.items()
        for since, until in one["stood"]
        if since < ended_at < until
    }
    good = [seed for seed in went_on if said[seed]["digest"] == right.get(seed) and codes.get(seed) == 0]
    reason = "the agent is gone" if how is signal.SIGKILL else "the agent has stopped thinking"
    told = stderr.read_text(encoding="utf-8").count(f"carbonshift: {reason}; the training goes on by itself\n")
    if how is signal.SIGKILL:
        fate = f"killed with bytes of {unread} trainings unread"
    else:
        fate = f"stopped, lease {lease_seconds:g} s"
    print(
        f"agent {fate}: {len(good)}/{trainings}"
        f" paused trainings went on to the end with the parameters of one left alone, {told} said why,"
        f" {trainings - len(codes)} hung, {sum(map(bool, codes.values()))} died,"
        f" the slowest did its next step after {max(went_on.values(), default=float('nan')):.3f} s"
    )
    return len(good) == told == trainings and (how is not signal.SIGKILL or unread >= trainings // 2)


def main() -> None:
    """Bereave them, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=100)
    trainings = parser.parse_args().trainings
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with nursery(None, folder / "stderr", 0.0) as process:
            for seed in range(trainings):
                print(seed, file=process.stdin)
            alone, _ = ends(process)
        right = {seed: one["digest"] for seed, one in alone.items()}
        print(f"{trainings} trainings of {STEPS} steps left alone: {len(set(right.values()))} different results")
        well = [bereave(trainings, how, right, folder) for how in (signal.SIGKILL, signal.SIGSTOP)]
    sys.exit(not all(well))


if __name__ == "__main__":
    main()
