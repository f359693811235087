"""Five hundred steps with forty pauses at random moments, and five hundred left alone: are they the same, bit for bit?

    python benchmarks/pause_exactness.py [--only TEXT] [--long | --quick] [--steps N] [--pauses N]

Each case of the table trains twice, alone and paused; losses and parameters of every rank are compared, and at each
pause all ranks have to stand at the one step of its receipt. `--long` takes the cases whose pauses outlast the timeout
of their collectives; `--quick` one case of each kind. Ends with 1 where a case is not exact.
"""

import argparse
import asyncio
import json
import math
import random
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from under_control import TRAININGS, Controlled, controlled

from carbonshift.common.errors import CarbonShiftError
from carbonshift.training.page import ACK, QUIET, STEP

JOB = "exact"
PAUSE_SECONDS = 60.0
RESULT_SECONDS = 300.0
LOOK_SECONDS = 0.0005
SLIP_STEPS = 100
"""Before the end no pause is asked for: each may come about a few steps on, and push the next."""
COMPILER = "inductor" if any(map(shutil.which, ("g++", "c++", "clang++"))) else "aot_eager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A training, and how it is paused."""

    name: str
    arguments: tuple[str, ...] = ()
    ranks: int = 1
    held_seconds: tuple[float, ...] = ()
    """How long the first pauses last; all others end at once."""
    offload: bool = False
    """Whether the model is put into host memory in each pause."""
    quick: bool = False


KINDS: dict[str, tuple[str, ...]] = {"one process": (), "DDP": ("--as", "DDP"), "FSDP2": ("--as", "FSDP2")}
OPTIONS: dict[str, tuple[str, ...]] = {
    "dropout, RNG, LR schedule": (),
    "forked loader workers": ("--loader", "fork"),
    "spawned loader workers": ("--loader", "spawn"),
    "AMP bf16": ("--amp", "bf16"),
    "AMP fp16, GradScaler": ("--amp", "fp16"),
    f"torch.compile ({COMPILER})": ("--compile", COMPILER),
}
CASES = tuple(
    Case(
        name=f"{kind}, {option}",
        arguments=as_kind + given,
        ranks=2 if as_kind else 1,
        quick=not given,
    )
    for kind, as_kind in KINDS.items()
    for option, given in OPTIONS.items()
) + tuple(
    Case(name=f"{kind}, {option}, after offload", arguments=as_kind + given, ranks=2 if as_kind else 1, offload=True)
    for kind, as_kind in KINDS.items()
    for option, given in OPTIONS.items()
    if not given or "--amp" in given
)
LONG_CASES = tuple(
    Case(
        name=f"{kind}, {len(held)} pauses of {held[0]:g} s under a collective timeout of 5 s",
        arguments=("--as", kind, "--timeout", "5"),
        ranks=2,
        held_seconds=held,
    )
    for kind in ("DDP", "FSDP2")
    for held in [(15.0, 15.0, 15.0)]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """What came of those that were asked for."""

    came: int
    at_one_step: int
    refused: tuple[str, ...]


async def pause_at(stage: Controlled, moments: Sequence[int], case: Case, chance: random.Random) -> Pauses:
    """Pause the job a little after it has done each of these numbers of steps."""
    pages = stage.pages(JOB)
    came, at_one_step, refused = 0, 0, []
    held = [*case.held_seconds, *([0.0] * (len(moments) - len(case.held_seconds)))]
    chance.shuffle(held)
    for moment, seconds in zip(moments, held, strict=True):
        while max(page[STEP] for page in pages) < moment and JOB in stage.control.jobs:  # noqa: ASYNC110  a page tells no events
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(chance.uniform(0, 2 * LOOK_SECONDS))
        try:
            receipt = await stage.control.pause(JOB, PAUSE_SECONDS)
            if case.offload and not await stage.control.offload(JOB):
                refused.append("nothing was put away")
            await asyncio.sleep(seconds)
            came += 1
            at_one_step += all(page[word] == receipt.step for page in pages for word in (ACK, QUIET, STEP))
            await stage.control.resume(JOB)
        except CarbonShiftError as error:
            refused.append(str(error))
    return Pauses(came=came, at_one_step=at_one_step, refused=tuple(refused))


async def results(stage: Controlled, process: asyncio.subprocess.Process, folder: Path, ranks: int) -> list[Any]:
    """What each rank wrote; none where one wrote nothing. How torchrun or gloo ended does not count."""
    paths = [folder / str(rank) for rank in range(ranks)]
    with suppress(TimeoutError):
        async with asyncio.timeout(RESULT_SECONDS):
            while not all(path.exists() for path in paths) and process.returncode is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    there = all(path.exists() for path in paths)
    await stage.end()
    return [json.loads(path.read_text(encoding="ascii")) for path in paths] if there else []


async def exact(case: Case, steps: int, pauses: int, seed: int) -> bool:
    """Train twice and print what came of it; whether it was all as it should be."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    moments = sorted(chance.sample(range(1, max(steps - SLIP_STEPS, pauses + 1)), pauses))
    async with controlled() as stage:
        folders = {name: stage.folder / name for name in ("alone", "paused")}
        for folder in folders.values():
            folder.mkdir()
        script = TRAININGS / "optioned.py"
        began = time.monotonic()
        process = await stage.start(
            script, str(steps), str(folders["alone"]), *case.arguments, job=None, ranks=case.ranks
        )
        alone = await results(stage, process, folders["alone"], case.ranks)
        process = await stage.start(
            script, str(steps), str(folders["paused"]), *case.arguments, job=JOB, ranks=case.ranks
        )
        await stage.joined(case.ranks)
        told = await pause_at(stage, moments, case, chance)
        paused = await results(stage, process, folders["paused"], case.ranks)
        seconds, words = time.monotonic() - began, stage.last_words()
    same = bool(alone) and alone == paused and all(math.isfinite(one["last_loss"]) for one in alone)
    good = same and told.came == told.at_one_step == pauses and not told.refused
    print(
        f"{case.name}: {'bit-identical' if same else 'DIFFERENT' if alone and paused else 'NO RESULT'},"
        f" {alone[0]['steps'] if alone else 0} steps, {told.came}/{pauses} pauses came about,"
        f" {told.at_one_step} with all {case.ranks} at one step ({seconds:.0f} s)",
        flush=True,
    )
    for reason in dict.fromkeys(told.refused):
        print(f"  {told.refused.count(reason)} times: {reason}")
    if not (alone and paused):
        print(words)
    return good


async def measure(cases: Sequence[Case], steps: int, pauses: int) -> bool:
    """Whether every case is exact."""
    good = [await exact(case, steps, pauses, seed) for seed, case in enumerate(cases)]
    print(f"{sum(good)} of {len(good)} cases exact")
    return all(good)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--pauses", type=int, default=40)
    parser.add_argument("--only", default="", metavar="TEXT", help="the cases whose names have this in them")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--long", action="store_true")
    which.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    table = LONG_CASES if options.long else CASES
    cases = [case for case in table if options.only in case.name and (case.quick or not options.quick)]
    if not cases:
        parser.error(f"no case has {options.only!r} in its name")
    sys.exit(not asyncio.run(measure(cases, options.steps, options.pauses)))


if __name__ == "__main__":
    main()
