"""What the gate costs a step: a torch optimizer's step with the hook and without, taken in turns in one process.

Run: `python benchmarks/hook_overhead.py`. Prints the medians in nanoseconds, their difference and their ratio.
"""

import argparse
import statistics
import time

import torch

from carbonshift.training.gate import gate
from carbonshift.training.hooks.optimizer_step import OptimizerStep
from carbonshift.training.page import LEASE_MS, RUN, private
from carbonshift.training.tie import Joined


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


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description="Measure what the gate costs an optimizer step.")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--steps", type=int, default=2_000, help="in a round")
    options = parser.parse_args()

    torch.set_num_threads(1)
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.grad = torch.zeros(1)
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    opened = gate(joined)
    opened.step_done()

    alone_ns = []
    for _ in range(options.rounds):
        began = time.perf_counter_ns()
        for _ in range(options.steps):
            opened.step_done(None, (), None)
        alone_ns.append((time.perf_counter_ns() - began) / options.steps)
    bare_ns, hooked_ns = [], []
    for _ in range(options.rounds):
        bare_ns.append(nanoseconds_a_step(optimizer, options.steps))
        remove = OptimizerStep().install(opened.step_done)
        hooked_ns.append(nanoseconds_a_step(optimizer, options.steps))
        remove()

    bare, hooked = statistics.median(bare_ns), statistics.median(hooked_ns)
    difference = statistics.median(b - a for a, b in zip(bare_ns, hooked_ns, strict=True))
    print(f"gate alone {statistics.median(alone_ns):.0f} ns")
    print(f"step of one parameter: bare {bare:.0f} ns, with the hook {hooked:.0f} ns, ratio {hooked / bare:.4f}")
    print(f"difference {difference:.0f} ns a step: {difference / 1e6:.6f} % of a step of 100 ms")


if __name__ == "__main__":
    main()
