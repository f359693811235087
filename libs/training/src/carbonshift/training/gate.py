"""The gate that every optimizer step passes: a counter and two comparisons, unless something is to be looked after."""

from collections.abc import Callable
from typing import NamedTuple

from carbonshift.training import framework
from carbonshift.training.declaration import Declaration
from carbonshift.training.hook import StepDone
from carbonshift.training.left_note import withdraw_note
from carbonshift.training.page import (
    CANNOT,
    DEADLINE_MS,
    FINAL_STEP,
    HOLD,
    LEAVE,
    MAY_LEAVE,
    PARKED,
    STEP,
    TARGET,
    TIER,
    USD_MICROS_PER_GPU_HOUR,
)
from carbonshift.training.tie import Join, Tie

__all__ = ["Gate", "gate"]


class Gate(NamedTuple):
    """The ways into one process's gate."""

    step_done: StepDone
    """To be called after each optimizer step."""
    declare: Callable[[Declaration], None]
    """Say what is declared in the page; what is not stays as it was."""
    leaves: Callable[[], bool]
    """Whether this process is to save and end now. To be asked where it can: the first time tells the agent that."""
    left: Callable[[], int]
    """Tell the agent that it has saved, and is about to end; the steps done."""
    stays: Callable[[], None]
    """Tell the agent that it could not save, and is not to be asked again."""
    forget: Callable[[], None]
    """Become a process that has never joined: for the child of a fork."""


def gate(join: Join, *, fail_closed: bool = False) -> Gate:  # noqa: C901  one closure: its variables are the hot path's
    """A closed gate: the first step calls `join`, later ones pass until the agent sets a target.

    Whatever goes wrong with the agent ends its control, never the training: said once on stderr. For one thread that
    steps optimizers; several may count a step twice or miss one.

    Args:
        join: as Tie has it.
        fail_closed: as Tie has it.
    """
    n = look = 0
    tie = Tie(join, fail_closed=fail_closed)
    words = tie.words

    def meet() -> None:
        nonlocal words, look
        if words[PARKED] == LEAVE:  # it has said that it would end, and has not
            words[PARKED] = HOLD
            withdraw_note()
        try:
            tie.meet(n)
        finally:  # also where a signal's handler has raised
            words, look = tie.words, tie.look

    meet = framework.uncompiled(meet)

    def step_done(_optimizer: object = None, _args: object = None, _kwargs: object = None, /) -> None:
        nonlocal n  # no container, no global: dynamo compiles a step with this in it once, and not again
        n += 1
        words[STEP] = n
        if n >= look or n >= words[TARGET]:
            meet()

    def declare(said: Declaration) -> None:
        if said.remaining_steps is not None:
            words[FINAL_STEP] = n + said.remaining_steps
        if said.deadline is not None:
            words[DEADLINE_MS] = max(1, round(said.deadline.timestamp() * 1_000))
        if said.usd_per_gpu_hour is not None:
            words[USD_MICROS_PER_GPU_HOUR] = round(said.usd_per_gpu_hour * 1_000_000)

    def leaves() -> bool:
        words[MAY_LEAVE] = 1
        return words[TIER] == LEAVE and not words[CANNOT] & 1 << LEAVE

    def left() -> int:
        nonlocal look
        words[PARKED] = LEAVE
        look = n + 1
        return n

    def stays() -> None:
        words[CANNOT] |= 1 << LEAVE

    def forget() -> None:
        nonlocal n, look, words, tie
        tie.close()
        n, look, tie = 0, 0, Tie(join, fail_closed=fail_closed)
        words = tie.words

    return Gate(step_done, declare, leaves, left, stays, forget)
