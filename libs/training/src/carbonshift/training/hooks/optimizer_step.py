"""Every torch optimizer's step: subclasses, schedulers, scalers, Lightning, Accelerate and the HF Trainer among them.

The post hook, never the pre hook: Lightning runs its whole closure inside `step`. A step that GradScaler skips is not
seen, unless the optimizer is fused, so the count is of hook calls and not of iterations.
"""

from collections.abc import Callable
from typing import Any, cast

from carbonshift.training.hook import StepDone

__all__ = ["OptimizerStep"]


class OptimizerStep:
    """torch's global optimizer-step post hook."""

    name = "optimizer-step"

    def install(self, step_done: StepDone) -> Callable[[], None]:
        """Raises ImportError where there is no torch."""
        from torch.optim.optimizer import register_optimizer_step_post_hook  # noqa: PLC0415  the user's torch

        return register_optimizer_step_post_hook(cast("Any", step_done)).remove
