"""`carbonshift train`: an unmodified training script under this host's worker."""

import os
import shutil
import sys
from typing import Annotated

import typer

from carbonshift.cli.options import to_moment
from carbonshift.common.errors import InputError
from carbonshift.common.events.base import NAME
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.training import begin_again
from carbonshift.training.declaration import MOST_STEPS, MOST_USD, Declaration
from carbonshift.training.launch import training_environment

__all__ = ["train"]


def train(
    command: Annotated[list[str], typer.Argument(help="The command, after `--`: python train.py ...")],
    *,
    job: Annotated[str, typer.Option(help="Name of the job.")] = "training",
    deadline: Annotated[
        str | None,
        typer.Option(
            help="When it has to be done: a date (UTC) or a time with zone; of the replay's time in a replay."
        ),
    ] = None,
    total_steps: Annotated[
        str | None,
        typer.Option(metavar="N", help="Optimizer steps of the whole training: with a deadline it is planned."),
    ] = None,
    usd_per_gpu_hour: Annotated[
        str | None, typer.Option(metavar="X", help="What an hour of a GPU is worth, waiting included.")
    ] = None,
) -> None:
    """Run a training script so that this host's gpu-worker can pause it; arguments and exit code are its own.

    What the script says itself, by carbonshift.training.session, counts before these options.
    """
    if not NAME.fullmatch(job):
        raise InputError(f"--job {job!r} is not a name", "use 1 to 64 letters, digits, - and _")
    declaration = Declaration(
        remaining_steps=_steps(total_steps),
        deadline=to_moment("--deadline", deadline),
        usd_per_gpu_hour=_usd(usd_per_gpu_hour),
    )
    environment = training_environment(GpuWorkerSettings.load().control_path, os.environ, job, declaration)
    if shutil.which(command[0]) is None:
        raise InputError(f"{command[0]}: there is no such program", "name a program that can be run")
    os.execve(sys.executable, [sys.executable, "-P", "-m", begin_again.__name__, *command], environment)


def _steps(text: str | None) -> int | None:
    if text is None:
        return None
    steps = int(text) if len(text) <= len(str(MOST_STEPS)) and text.isascii() and text.isdecimal() else 0
    if not 1 <= steps <= MOST_STEPS:
        raise InputError(f"--total-steps {text!r} is no number of steps", f"give a whole number, 1 to {MOST_STEPS}")
    return steps


def _usd(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        usd = float(text)
    except ValueError:
        usd = -1.0
    if not 0 <= usd <= MOST_USD:
        raise InputError(f"--usd-per-gpu-hour {text!r} is no price", f"give dollars, 0 to {MOST_USD:g}, such as 2.5")
    return usd
