"""What it costs jobs to wait for a while from now on, and how many watts a site could shed so. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import Shed
from carbonshift.decide.planning.choice import Situation
from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.lookahead import lookahead_of

__all__ = ["SHED_SECONDS", "Waiter", "sheds", "shift_costs_usd"]

Floats = NDArray[np.float64]

SHED_SECONDS = (900, 3_600, 14_400)
"""How long is offered: what markets for demand response ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """A board whose job could be parked."""

    job: str
    watts: float
    """What it may draw now, less what it would draw parked."""
    longest_seconds: float
    """How long it can wait; infinite without a deadline."""
    costs_usd: tuple[float | None, ...]
    """Of waiting for each of `SHED_SECONDS`; None where nobody knows a price."""


def sheds(waiters: Iterable[Waiter]) -> tuple[Shed, ...]:
    """One offer for each of `SHED_SECONDS`, of all boards whose jobs can wait so long."""
    waiters = [waiter for waiter in waiters if waiter.watts > 0]
    offers = []
    for number, seconds in enumerate(SHED_SECONDS):
        able = [waiter for waiter in waiters if waiter.longest_seconds >= seconds]
        costs = [cost for waiter in able if (cost := waiter.costs_usd[number]) is not None]
        offers.append(
            Shed(
                seconds=seconds,
                watts=sum(waiter.watts for waiter in able),
                cost_usd=sum(costs) if len(costs) == len(able) else None,
                jobs=len({waiter.job for waiter in able}),
            )
        )
    return tuple(offers)


def shift_costs_usd(
    situation: Situation, device: Device, switches: SwitchCosts, step_seconds: float, stage_seconds: float
) -> Floats:
    """What one running job pays more if it is parked from now on for each of `SHED_SECONDS` and then does its best.

    Whole stages are compared, and a part of one by its share; the present interval's unit cost stands for the stage
    that has begun. Energy, its carbon at its price, and the value of waiting.

    Args:
        situation: one job, shapes (1, ...), with stages until its deadline.
        device: its board.
        switches: the pause and the resume that an interruption takes.
        step_seconds: length of an interval.
        stage_seconds: length of a stage.

    Returns: shape (len(SHED_SECONDS),), 0 or more; it means nothing where the deadline does not leave the time.
    """
    nodes = situation.unit_costs.shape[2]
    now = np.broadcast_to(situation.unit_costs_now[:, None, None], (1, 1, nodes))
    costs = np.concatenate((now, situation.unit_costs), axis=1)
    deadline_seconds = situation.rest_seconds + step_seconds - float(situation.margin_seconds[0])
    stages = min(int(np.ceil(max(deadline_seconds, 0.0) / stage_seconds)), costs.shape[1])
    work, waiting = situation.work_seconds, situation.usd_per_second
    lookahead = lookahead_of(device, stage_seconds)

    def total_usd(parked_stages: int) -> float:
        parked = costs[0, :parked_stages].mean(axis=1) * device.parked_w * stage_seconds
        table = lookahead.table(costs[:, parked_stages:stages], waiting, float(work[0]))
        idle = float(parked.sum() + waiting[0] * stage_seconds * parked_stages)
        return idle + float(table.at(work)[0])

    switch_usd = (switches.pause_seconds + switches.resume_seconds) * device.switch_w * situation.unit_costs_now[0]
    last = int(min(-(-SHED_SECONDS[-1] // stage_seconds), stages))
    after_stages = np.array([total_usd(parked) for parked in range(last + 1)])
    after = np.interp(np.array(SHED_SECONDS) / stage_seconds, np.arange(last + 1), after_stages)
    dearer: Floats = np.maximum(after - after_stages[0] + switch_usd, 0.0)
    return dearer
