"""How many steps a loop under Accelerate has left; the steps themselves are counted at its optimizers.

Accelerate knows nothing of that itself: the loop is the script's. What it is told, by scripts that follow its examples,
is the configuration of the run, `accelerator.init_trackers("name", config={"max_train_steps": 1_000})`. Any other
script, and one that begins in the middle, says it by `session`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from carbonshift.training.autoload import expect
from carbonshift.training.before import before
from carbonshift.training.hook import StepDone

__all__ = ["STEPS", "Accelerate"]

STEPS: Final = "max_train_steps"
"""What the examples of Accelerate, transformers and diffusers call the optimizer steps of the whole run."""


class Accelerate:
    """Reads the configuration that a script gives to its trackers, whether or not there are any."""

    name = "accelerate"

    def install(self, _step_done: StepDone, /) -> Callable[[], None]:
        """Waits for accelerate, and never imports it."""
        return before("accelerate.accelerator", "Accelerator.init_trackers", _read)


def _read(_accelerator: object, *unnamed: Any, config: Mapping[str, Any] | None = None, **_named: object) -> None:
    said = config or (unnamed[1] if len(unnamed) > 1 else None) or {}  # after the project's name
    steps = said.get(STEPS)
    if isinstance(steps, int) and not isinstance(steps, bool) and steps > 0:
        expect(remaining_steps=steps)
