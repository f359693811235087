"""A data loader that says what its training is, and is that loader in all else.

The pause itself is at the optimizer's step, wherever that is: a loader has nothing to hold back.
"""

import math
from collections.abc import Iterable, Iterator, Sized
from datetime import datetime
from typing import Any, Generic, TypeVar

from carbonshift.training.autoload import session

__all__ = ["Pausable", "pausable"]

Batch = TypeVar("Batch", covariant=True)  # noqa: PLC0105


class Pausable(Generic[Batch]):
    """The iterator, the length and the attributes are the loader's own."""

    def __init__(self, loader: Iterable[Batch], epochs: int | None, steps_per_batch: float) -> None:
        self._loader, self._epochs_left, self._steps_per_batch = loader, epochs, steps_per_batch

    def __iter__(self) -> Iterator[Batch]:
        if self._epochs_left is not None:
            self._say(max(self._epochs_left, 1))  # one more than was said is begun: it at least is left
            self._epochs_left -= 1
        return iter(self._loader)

    def __len__(self) -> int:
        if not isinstance(self._loader, Sized):
            raise TypeError(f"object of type {type(self._loader).__name__!r} has no len()")
        return len(self._loader)

    def __bool__(self) -> bool:
        return bool(self._loader)

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":  # unpickled or copied, and not filled yet
            raise AttributeError(name)
        return getattr(self._loader, name)

    def _say(self, epochs: int) -> None:
        try:
            batches = len(self) * epochs
        except (TypeError, NotImplementedError):  # such as a stream
            return
        session(remaining_steps=math.ceil(round(batches * self._steps_per_batch, 6)))


def pausable(
    loader: Iterable[Batch],
    *,
    epochs: int | None = None,
    steps_per_batch: float = 1.0,
    job: str | None = None,
    deadline: datetime | str | None = None,
    usd_per_gpu_hour: float | None = None,
) -> Pausable[Batch]:
    """`loader`, with this training under control where an agent is; nothing changes where none is.

    Args:
        loader: iterated as it is, once an epoch. One that a framework prepares is to be prepared first.
        epochs: how often it will be iterated; with it the remaining steps are told, where `loader` has a length.
        steps_per_batch: optimizer steps to a batch: 2 where two optimizers step, 1/4 where four batches accumulate.
        job: as `session` has it.
        deadline: so too.
        usd_per_gpu_hour: so too.
    Raises: ValueError.
    """
    if epochs is not None and not (isinstance(epochs, int) and epochs >= 0):
        raise ValueError(f"epochs is {epochs!r}, not a whole number from 0; give how often the loader is iterated")
    if not 0 < steps_per_batch < math.inf:
        raise ValueError(f"steps_per_batch is {steps_per_batch!r}; give a number above 0, such as 0.25 or 2")
    session(job=job, deadline=deadline, usd_per_gpu_hour=usd_per_gpu_hour)
    return Pausable(loader, epochs, steps_per_batch)
