"""The environment in which an unmodified `python train.py` runs under control."""

import os
from collections.abc import Mapping
from pathlib import Path

from carbonshift.training.autoload import CONTROL, JOB
from carbonshift.training.declaration import Declaration
from carbonshift.training.wire import JOB_NAME

__all__ = ["INJECT", "training_environment"]

NOTHING = Declaration()
INJECT = Path(__file__).parent / "inject"
"""The folder that goes on PYTHONPATH: the injected module, its metadata, a chaining sitecustomize."""


def training_environment(
    control: Path, base: Mapping[str, str], job: str, declaration: Declaration = NOTHING
) -> dict[str, str]:
    """`base` with what puts a training under the agent that listens at `control`, as the job named `job`.

    `declaration` is said for it, as far as its script does not say so itself.

    It reaches `python x.py`, `python -m x`, torchrun, accelerate and what they start, wherever torch is. Not
    `python -I` or `-E`, unless carbonshift-training is installed there.

    Raises: ValueError where `job` is not 1 to 64 letters, digits, `_` or `-`.
    """
    if not JOB_NAME.fullmatch(job):
        raise ValueError(f"the job name {job!r} is not 1 to 64 letters, digits, _ or -")
    behind = base.get("PYTHONPATH")  # an empty entry would mean the current folder
    return {
        **base,
        CONTROL: str(control.absolute()),
        JOB: job,
        **declaration.environment,
        "PYTHONPATH": f"{INJECT}{os.pathsep}{behind}" if behind else str(INJECT),
    }
