"""Tiny trainings, forked from one process that has imported torch: `nursery.py STEPS PACE_SECONDS`.

Each line on stdin is a seed, and starts one; its job is `seed-SEED`. Each prints, at its end, a line of JSON: `seed`,
`digest` of its parameters, and `stood`: from when to when, by the monotonic clock, the longest times without a step.
When stdin ends all are awaited, and a last line has the exit codes by seed.
"""

import json
import os
import sys
import time

import torch
import torch._dynamo  # the first step of an optimizer imports it: seconds, once for all here
from tiny import digest, train

LONGEST = 10


def child(seed: int, steps: int, pace_seconds: float) -> None:
    """One training, from its first step to its last."""
    os.environ["CARBONSHIFT_JOB"] = f"seed-{seed}"
    stood, before = [], time.monotonic()
    nets = train(seed)
    for _ in range(steps):
        net = next(nets)
        stood.append((before, time.monotonic()))
        time.sleep(pace_seconds)  # as for data
        before = time.monotonic()
    stood.sort(key=lambda times: times[0] - times[1])
    said = {"seed": seed, "digest": digest(net), "stood": stood[:LONGEST]}
    os.write(1, json.dumps(said).encode() + b"\n")  # one write: whole lines, whoever else writes


def main() -> None:
    """Start what stdin says."""
    steps, pace_seconds = int(sys.argv[1]), float(sys.argv[2])
    torch.set_num_threads(1)
    seeds: dict[int, int] = {}
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                child(int(line), steps, pace_seconds)
                code = 0
            finally:
                os._exit(code)
        seeds[pid] = int(line)
    codes = {seed: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid, seed in seeds.items()}
    os.write(1, json.dumps({"codes": codes}).encode() + b"\n")


main()
