"""How many steps a Lightning `Trainer` has left; the steps themselves are counted at its optimizers.

Under either of its names, `lightning` and `pytorch_lightning`, which are two sets of classes.
"""

import importlib
import math
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from carbonshift.training.autoload import expect, session
from carbonshift.training.before import before
from carbonshift.training.hook import StepDone
from carbonshift.training.leaving import leave_if_asked

__all__ = ["Lightning", "callback"]

LIGHTNING: Final = "lightning.pytorch"
PACKAGES: Final = (LIGHTNING, "pytorch_lightning")


class Lightning:
    """Every Trainer gets the callback as it begins to fit, unless its script has given it one."""

    name = "lightning"

    def install(self, _step_done: StepDone, /) -> Callable[[], None]:
        """Waits for either package, and imports neither."""
        put_in = [before(f"{package}.trainer.trainer", "Trainer.fit", partial(_add, package)) for package in PACKAGES]

        def take_out() -> None:
            for take_one_out in put_in:
                take_one_out()

        return take_out


def callback(
    *,
    job: str | None = None,
    deadline: datetime | str | None = None,
    usd_per_gpu_hour: float | None = None,
    package: str = LIGHTNING,
    leaves_at: str | Path | None = None,
) -> Any:
    """For `Trainer(callbacks=[...])`: says at once what `session` says, and the remaining steps as training begins.

    `package` is `pytorch_lightning` for a Trainer of that. `leaves_at` says that the script goes on from a checkpoint
    of that path when it is begun again, as by `fit(ckpt_path=...)`: where the agent wants it to leave its device, one
    is saved there, and it ends. That is amid an epoch, where Lightning finds its place only with a loader that has a
    state of its own.

    Raises: ValueError, and ImportError where there is no `package`.
    """
    session(job=job, deadline=deadline, usd_per_gpu_hour=usd_per_gpu_hour)
    return _made(package, None if leaves_at is None else str(leaves_at))


def _add(package: str, trainer: Any, *_args: object, **_kwargs: object) -> None:
    if not any(isinstance(one, _kind(package)) for one in trainer.callbacks):
        trainer.callbacks.insert(0, _made(package))


def _remaining(trainer: Any, module: Any) -> int | None:
    """Optimizer steps from now to the end; None where there is no telling.

    A module that steps its optimizers itself does so as often a batch as it likes: only a limit on steps is one then.
    """
    steps = trainer.estimated_stepping_batches if module.automatic_optimization else trainer.max_steps
    return max(0, steps - trainer.global_step) if 0 <= steps < math.inf else None


def _made(package: str, leaves_at: str | None = None) -> Any:
    made = _kind(package)()
    made.leaves_at = leaves_at
    return made


@cache
def _kind(package: str) -> type:
    base = importlib.import_module(package).Callback

    class CarbonShift(base):  # type: ignore[misc, valid-type]
        leaves_at: str | None

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            remaining_steps = _remaining(trainer, pl_module)
            if remaining_steps is not None:
                expect(remaining_steps)

        def on_train_batch_end(self, trainer: Any, *_args: object, **_kwargs: object) -> None:
            if self.leaves_at is not None:
                leave_if_asked(partial(trainer.save_checkpoint, self.leaves_at))

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002  Lightning's names
            expect(remaining_steps=0)  # it may have stopped early

        def __reduce__(self) -> tuple[Callable[[str, str | None], Any], tuple[str, str | None]]:
            return _made, (package, self.leaves_at)

    return CarbonShift
