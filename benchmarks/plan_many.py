"""How long 1,000 jobs over 288 steps take to be planned on one core, beside HiGHS on a part of them in the same run.

    python benchmarks/plan_many.py

With free switches a job is a linear program for each interval it may complete in; HiGHS solves those of a part of the
jobs, and the costs are compared: the figures are of the same answers. Then once more with the switches of a real board.
"""

import statistics
import time

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.planning.job import FREE_SWITCHES, Device, Job, SwitchCosts
from carbonshift.decide.planning.schedule import plan_many

JOBS, STEPS, STEP_SECONDS = 1_000, 288, 300.0
BY_HIGHS = 3
ROUNDS = 5
SCALE = 1e9
"""HiGHS has absolute tolerances, and a joule costs little."""
ALIKE = 1e-6
DEVICE = Device.of(RESNET18_V100)


def problems() -> tuple[NDArray[np.float64], list[Job]]:
    """A price a step for each job, with a day's rhythm and noise; work of 2 to 12 h, deadlines up to the last step."""
    random, steps = np.random.default_rng(0), np.arange(STEPS)
    rhythm = 55 + 30 * np.sin(2 * np.pi * steps / 288 + random.uniform(0, 6, (JOBS, 1)))
    costs = (rhythm + random.normal(0, 12, (JOBS, STEPS))) / 3.6e9
    hours = random.uniform(2, 12, JOBS)
    return costs, [
        Job(work_seconds=float(work) * 3_600, deadline_seconds=float(min(24.0, work * slack)) * 3_600)
        for work, slack in zip(hours, random.uniform(1.2, 3, JOBS), strict=True)
    ]


def by_highs(costs: NDArray[np.float64], job: Job) -> float:
    """The least cost of a job with free switches: the best over the intervals it may complete in."""
    ways = 1 + len(DEVICE.speeds)
    draws, speeds = np.array((DEVICE.parked_w, *DEVICE.draws_w)), np.array((0.0, *DEVICE.speeds))
    best = np.inf
    for last in range(STEPS):
        room = min(STEP_SECONDS, job.deadline_seconds - last * STEP_SECONDS)
        if room <= 0 or (last * STEP_SECONDS + room) * speeds.max() < job.work_seconds:
            continue
        seconds = np.full(last + 1, STEP_SECONDS)
        seconds[-1] = room
        usd = np.outer(costs[: last + 1], draws).ravel()
        usd[-ways] = 0.0  # in the interval of completion what is left costs nothing
        found = linprog(
            usd * SCALE,
            A_eq=np.vstack((np.kron(np.eye(last + 1), np.ones(ways)), np.tile(speeds, last + 1))),
            b_eq=np.append(seconds, job.work_seconds),
            method="highs",
        )
        best = min(best, float(found.fun) / SCALE) if found.status == 0 else best
    return best


def main() -> None:
    """Print both."""
    costs, jobs = problems()
    free = plan_many(costs, STEP_SECONDS, jobs, DEVICE, FREE_SWITCHES)
    began = time.perf_counter()
    theirs = [by_highs(costs[number], jobs[number]) for number in range(BY_HIGHS)]
    highs_seconds = (time.perf_counter() - began) / BY_HIGHS
    apart = max(abs(free[number].total_usd / usd - 1.0) for number, usd in enumerate(theirs))
    if apart > ALIKE:
        raise SystemExit(f"the costs differ by {apart:.2%}: the figures would mean nothing")
    for name, switches in (("free switches", FREE_SWITCHES), ("real switches", SwitchCosts())):
        seconds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            plans = plan_many(costs, STEP_SECONDS, jobs, DEVICE, switches)
            seconds.append(time.perf_counter() - began)
        gap = statistics.mean(plan.gap_usd / plan.total_usd for plan in plans)
        each = statistics.median(seconds) / JOBS
        print(
            f"{name}: {JOBS} jobs x {STEPS} steps in {statistics.median(seconds):.3f} s"
            f" ({min(seconds):.3f} to {max(seconds):.3f}), mean gap {gap:.1e};"
            f" HiGHS {highs_seconds / each:.0f} times as long a job, costs within {apart:.0e}"
        )


if __name__ == "__main__":
    main()
