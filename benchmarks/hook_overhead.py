"""What the gate costs a step: a torch optimizer's step with the hook and without, taken in turns in one process.

    python benchmarks/hook_overhead.py [--rounds N] [--steps N] [--pairs N]

First the gate alone, and the step of an optimizer that has next to nothing to do. Then whole training steps of about
10 ms, in a process that has joined a TrainingControl in another, heartbeats and all: in pairs, one with the hook and
one without, the first of them now this one, now that.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from control_agent import agent_process

from carbonshift.training.autoload import CONTROL, join
from carbonshift.training.gate import gate
from carbonshift.training.hooks.optimizer_step import OptimizerStep
from carbonshift.training.page import LEASE_MS, RUN, private
from carbonshift.training.tie import Joined

ALONE_MARK_NS = 200
STEP_MARK_SHARE = 0.001
TRAINING_STEP_NS = 10e6
LEASE_SECONDS = 10.0
RESAMPLES = 2_000


class Nobody:
    """A connection that swallows what it is sent: what is measured never waits."""

    def send(self, _data: bytes, _flags: int) -> None:
        """Nothing."""

    def recv(self, _size: int) -> bytes:
        """Nothing to hear."""
        raise BlockingIOError

    def close(self) -> None:
        """Nothing."""


def joined(_seconds: float) -> Joined:
    """A page with no target, as while a training runs."""
    words = private(RUN)
    words[LEASE_MS] = 10_000
    return Joined(Nobody(), words)  # type: ignore[arg-type]


def nanoseconds_a_step(optimizer: torch.optim.Optimizer, steps: int) -> float:
    """The mean of `steps` steps."""
    began = time.perf_counter_ns()
    for _ in range(steps):
        optimizer.step()
    return (time.perf_counter_ns() - began) / steps


def little_to_do(rounds: int, steps: int) -> None:
    """Print what the gate takes alone, and in the step of an optimizer of one parameter."""
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.grad = torch.zeros(1)
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    opened = gate(joined)
    opened.step_done()
    alone_ns = []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(steps):
            opened.step_done(None, (), None)
        alone_ns.append((time.perf_counter_ns() - began) / steps)
    bare_ns, hooked_ns = [], []
    for _ in range(rounds):
        bare_ns.append(nanoseconds_a_step(optimizer, steps))
        remove = OptimizerStep().install(opened.step_done)
        hooked_ns.append(nanoseconds_a_step(optimizer, steps))
        remove()
    bare, hooked = statistics.median(bare_ns), statistics.median(hooked_ns)
    difference = statistics.median(b - a for a, b in zip(bare_ns, hooked_ns, strict=True))
    print(f"gate alone {statistics.median(alone_ns):.0f} ns (mark {ALONE_MARK_NS} ns)")
    print(f"step of one parameter: bare {bare:.0f} ns, with the hook {hooked:.0f} ns, ratio {hooked / bare:.4f}")
    print(
        f"difference {difference:.0f} ns a step: {difference / TRAINING_STEP_NS:.5%} of a step of 10 ms"
        f" (mark {STEP_MARK_SHARE:.1%})"
    )


class Training:
    """One whose steps take about 10 ms on this machine."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self._model = torch.nn.Sequential(torch.nn.Linear(256, 256), torch.nn.Tanh(), torch.nn.Linear(256, 1))
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=1e-3)
        rows = 1_024
        for _ in range(3):
            self._batch = torch.randn(rows, 256)
            rows = round(rows * TRAINING_STEP_NS / min(self.step()[0] for _ in range(20)))

    def step(self) -> tuple[int, int]:
        """Nanoseconds of a whole step, and of its optimizer's."""
        began = time.perf_counter_ns()
        self._optimizer.zero_grad()
        self._model(self._batch).square().mean().backward()
        differentiated = time.perf_counter_ns()
        self._optimizer.step()
        ended = time.perf_counter_ns()
        return ended - began, ended - differentiated


def median_and_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and between what it is with 95 % confidence: by the bootstrap (Efron 1979)."""
    chance = random.Random(0)  # noqa: S311  # no secret
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return statistics.median(values), medians[round(0.025 * RESAMPLES)], medians[round(0.975 * RESAMPLES) - 1]


def in_turns(pairs: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Steps without the hook, and with it, of a training that has joined an agent in another process."""
    with tempfile.TemporaryDirectory() as name:
        os.environ[CONTROL] = str(Path(name) / "control")
        with agent_process(Path(name) / "control", LEASE_SECONDS):
            opened, training = gate(join), Training()
            opened.step_done()
            bare, hooked = [], []
            for pair in range(pairs):
                for with_hook in (True, False) if pair % 2 else (False, True):
                    remove = OptimizerStep().install(opened.step_done)
                    if not with_hook:
                        remove()
                    (hooked if with_hook else bare).append(training.step())
                    remove()
    return bare, hooked


def whole_steps(pairs: int) -> None:
    """Print how a training step of 10 ms fares; all that the hook can change of it lies in its optimizer's step."""
    bare, hooked = in_turns(pairs)
    step_ns = statistics.median(whole for whole, _ in bare)
    ratio, low, high = median_and_interval([b[0] / a[0] for a, b in zip(bare, hooked, strict=True)])
    print(
        f"training step of {step_ns / 1e6:.1f} ms under an agent, with the hook: {ratio:.5f} times as long"
        f" (95 % {low:.5f} to {high:.5f}, of {pairs} pairs)"
    )
    more_ns, low, high = median_and_interval([b[1] - a[1] for a, b in zip(bare, hooked, strict=True)])
    print(
        f"of it the optimizer's step: {more_ns:.0f} ns more (95 % {low:.0f} to {high:.0f}), {more_ns / step_ns:.4%}"
        f" (95 % {low / step_ns:.4%} to {high / step_ns:.4%}) of the training step (mark {STEP_MARK_SHARE:.1%})"
    )


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description="Measure what the gate costs an optimizer step.")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--steps", type=int, default=2_000, help="in a round")
    parser.add_argument("--pairs", type=int, default=1_500, help="of steps of 10 ms")
    options = parser.parse_args()
    torch.set_num_threads(1)
    little_to_do(options.rounds, options.steps)
    whole_steps(options.pairs)


if __name__ == "__main__":
    main()
