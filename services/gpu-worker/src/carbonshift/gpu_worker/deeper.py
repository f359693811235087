"""From rest into a deeper tier: the model into host memory, or the training saved and gone."""

import asyncio
from collections.abc import Sequence

from carbonshift.gpu_worker.errors import CannotParkError, NotAtRestError, PauseInterruptedError
from carbonshift.gpu_worker.training_process import TrainingProcess, demand_unbroken
from carbonshift.training.page import ACK, AWAY_BYTES, HOLD, LEAVE, OFFLOAD, PARKED

__all__ = ["LEAVE_STEPS", "demand_rest", "leave", "offload"]

LOOK_SECONDS = 0.01
"""Between two looks at a job on its way."""
LEAVE_STEPS = 16
"""Within so many steps a training that is to leave comes to where it can: several optimizers may step an iteration."""


def demand_rest(members: Sequence[TrainingProcess]) -> None:
    """Raises: NotAtRestError where they run, or have left."""
    if not all(process.quiet and not process.hello.stands_in for process in members):
        raise NotAtRestError(f"job {members[0].hello.job} is not at rest", "pause it first")


async def offload(members: Sequence[TrainingProcess]) -> int | None:
    """Have `members`, all of a job and at rest, put what they hold on their devices into host memory: so many bytes.

    Returns: None where it is there already.

    Raises: NotAtRestError; CannotParkError, all being where it was; PauseInterruptedError.
    """
    demand_rest(members)
    if all(process.words[PARKED] == OFFLOAD for process in members):
        return None
    releases = [process.releases for process in members]
    for process in members:
        process.sink(OFFLOAD)
    while not all(process.words[PARKED] == OFFLOAD for process in members):
        demand_unbroken(members, releases)
        if any(process.cannot(OFFLOAD) for process in members):
            for process in members:
                process.sink(HOLD)
            raise CannotParkError(f"job {members[0].hello.job} stays on its devices", "its stderr says why")
        await asyncio.sleep(LOOK_SECONDS)
    return sum(process.words[AWAY_BYTES] for process in members)


async def leave(members: Sequence[TrainingProcess]) -> None:
    """Have `members`, all of a job and at rest, save, and leave their devices.

    Raises: NotAtRestError; CannotParkError, the job being at rest, perhaps some steps further on, or let go where it
        was resumed meanwhile; PauseInterruptedError where one has ended without having saved, the others being let go.
    """
    job = members[0].hello.job
    demand_rest(members)
    if not all(process.may_leave for process in members):
        raise CannotParkError(f"job {job} does not say where it can be left", "call leave_if_asked in its loop")
    last = members[0].words[ACK] + LEAVE_STEPS
    releases = [process.releases for process in members]
    for process in members:
        process.sink(LEAVE)
    for process in members:  # which all know of it by now: they leave in the same iteration
        process.target(last)
    while here := [process for process in members if process.here]:
        await asyncio.sleep(LOOK_SECONDS)
        if any(not process.here and process.words[PARKED] != LEAVE for process in members):
            for process in here:
                process.let_go()
            break
        if all(process.here and process.words[ACK] == last for process in members):
            _stay(members, last, resumed=[process.releases for process in members] != releases)
    if not all(process.words[PARKED] == LEAVE for process in members):
        raise PauseInterruptedError(f"job {job} ended before all of it had saved", "see its own output")


def _stay(members: Sequence[TrainingProcess], step: int, *, resumed: bool) -> None:
    """Raises: CannotParkError: `members` have come to `step` and not left. They rest there unless `resumed`."""
    for process in members:
        if resumed:
            process.let_go()
        else:
            process.sink(HOLD)
            process.agree(step)
    raise CannotParkError(
        f"job {members[0].hello.job} has done {LEAVE_STEPS} steps and not come to where it can be left",
        "call leave_if_asked in each iteration of its loop",
    )
