"""`carbonshift train`: an unmodified training script under this host's worker."""

import os
from typing import Annotated

import typer

from carbonshift.common.errors import InputError
from carbonshift.common.events.base import NAME
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.training.launch import training_environment

__all__ = ["train"]


def train(
    command: Annotated[list[str], typer.Argument(help="The command, after `--`: python train.py ...")],
    *,
    job: Annotated[str, typer.Option(help="Name of the job.")] = "training",
) -> None:
    """Run a training script so that this host's gpu-worker can pause it; arguments and exit code are its own."""
    if not NAME.fullmatch(job):
        raise InputError(f"--job {job!r} is not a name", "use 1 to 64 letters, digits, - and _")
    environment = training_environment(GpuWorkerSettings.load().control_path, os.environ, job)
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise InputError(f"{command[0]}: {error.strerror}", "name a program that can be run") from error
