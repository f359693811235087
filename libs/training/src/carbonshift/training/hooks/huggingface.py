"""How many steps a Hugging Face `Trainer` has left; the steps themselves are counted at its optimizer."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from carbonshift.training.autoload import expect, is_asked_to_leave, session
from carbonshift.training.before import before
from carbonshift.training.hook import StepDone
from carbonshift.training.leaving import leave_if_asked

__all__ = ["HuggingFace", "callback"]


class HuggingFace:
    """Every Trainer gets the callback as it begins to train, unless its script has given it one."""

    name = "huggingface"

    def install(self, _step_done: StepDone, /) -> Callable[[], None]:
        """Waits for transformers, and never imports it."""
        return before("transformers.trainer", "Trainer.train", _add)


def callback(
    *,
    job: str | None = None,
    deadline: datetime | str | None = None,
    usd_per_gpu_hour: float | None = None,
    leaves: bool = False,
) -> Any:
    """For `Trainer(callbacks=[...])`: says at once what `session` says, and the remaining steps as training begins.

    `leaves` says that the script goes on from the Trainer's last checkpoint when it is begun again, as by
    `train(resume_from_checkpoint=...)`: where the agent wants it to leave its device, one is saved, and it ends.

    Raises: ValueError, and ImportError where there is no transformers.
    """
    session(job=job, deadline=deadline, usd_per_gpu_hour=usd_per_gpu_hour)
    return _made(leaves)


def _add(trainer: Any, *_args: object, **_kwargs: object) -> None:
    if not any(isinstance(one, _kind()) for one in trainer.callback_handler.callbacks):
        trainer.add_callback(_made(leaves=False))


def _made(leaves: bool) -> Any:  # noqa: FBT001  unpickled by position
    made = _kind()()
    made.leaves = leaves
    return made


def _saved() -> None:
    """The Trainer has done so."""


@cache
def _kind() -> type:
    from transformers import TrainerCallback  # noqa: PLC0415  the user's own

    class CarbonShift(TrainerCallback):  # type: ignore[misc]
        leaves: bool

        def on_train_begin(self, _args: object, state: Any, _control: object, **_kwargs: object) -> None:
            expect(remaining_steps=max(0, state.max_steps - state.global_step))

        def on_step_end(self, _args: object, _state: object, control: Any, **_kwargs: object) -> None:
            if self.leaves and is_asked_to_leave():
                control.should_save = True

        def on_save(self, _args: object, _state: object, _control: object, **_kwargs: object) -> None:
            if self.leaves:
                leave_if_asked(_saved)

        def on_train_end(self, _args: object, _state: object, _control: object, **_kwargs: object) -> None:
            expect(remaining_steps=0)  # it may have stopped early

        def __reduce__(self) -> tuple[Callable[[bool], Any], tuple[bool]]:
            return _made, (self.leaves,)

    return CarbonShift
