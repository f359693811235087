"""Which mode now: the cheapest of this interval together with what it leaves to do, the deadline kept first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.lookahead import Lookahead, lookahead_of

__all__ = ["PARKED_MODE", "Situation", "choose_modes"]

Floats = NDArray[np.float64]

PARKED_MODE = -1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Situation:
    """Jobs at the beginning of an interval; shapes (jobs,)."""

    work_seconds: Floats
    """Above 0."""
    running: NDArray[np.bool_]
    unit_costs_now: Floats
    """USD/J of the interval."""
    unit_costs: Floats
    """Shape (jobs, stages, nodes), of the stages after it, at least as many as the deadline leaves room for."""
    rest_seconds: float
    """Between the end of the interval and the deadline; below 0 where the deadline comes before that end."""
    margin_seconds: Floats
    """Before the deadline that shall not be needed."""
    usd_per_second: Floats
    """Value of waiting."""


def choose_modes(
    situation: Situation, device: Device, switches: SwitchCosts, step_seconds: float, stage_seconds: float
) -> NDArray[np.intp]:
    """The mode of each job in this interval, `PARKED_MODE` for none.

    Args:
        situation: the jobs.
        device: their boards.
        switches: what pausing and resuming take.
        step_seconds: length of the interval.
        stage_seconds: length of the stages after it.

    Returns: shape (jobs,). Where no mode keeps the deadline it is the fastest.
    """
    work, running, now = situation.work_seconds, situation.running, situation.unit_costs_now
    later = np.maximum(situation.rest_seconds - situation.margin_seconds, 0.0) * max(device.speeds)
    usable_seconds = step_seconds + min(situation.rest_seconds, 0.0)
    to_go = _CostToGo(situation, lookahead_of(device, stage_seconds), stage_seconds)
    both_j = (switches.pause_seconds + switches.resume_seconds) * device.switch_w
    parked_usd = (
        now * (device.parked_w * step_seconds + np.where(running, both_j, 0.0))
        + situation.usd_per_second * step_seconds
        + to_go.at(work)
    )
    in_time = work <= later
    best_usd = np.where(in_time, parked_usd, np.inf)
    best_mode = np.where(in_time, PARKED_MODE, device.full)
    lost = np.where(running, 0.0, switches.resume_seconds)
    for mode in sorted(range(len(device.speeds)), key=lambda index: device.speeds[index]):
        speed = device.speeds[mode]
        seconds = np.clip(usable_seconds - lost, 0.0, work / speed)
        left = np.where(seconds * speed >= work * (1.0 - 1e-12), 0.0, work - seconds * speed)
        drawn_seconds = np.where(left > 0, step_seconds, lost + seconds)
        usd = (
            now * (device.draws_w[mode] * seconds + device.switch_w * lost)
            + situation.usd_per_second * drawn_seconds
            + np.where(left > 0, to_go.at(left), 0.0)
        )
        better = (left <= later) & (usd < best_usd)
        best_usd, best_mode = np.where(better, usd, best_usd), np.where(better, mode, best_mode)
    return best_mode


class _CostToGo:
    """Where the deadline lies within a stage: between the cost without that stage and the cost with it whole."""

    def __init__(self, situation: Situation, lookahead: Lookahead, stage_seconds: float) -> None:
        whole, more = divmod(max(situation.rest_seconds, 0.0), stage_seconds)
        counts = (int(whole), int(whole) + 1) if more > 0 else (int(whole),)
        most = float(situation.work_seconds.max())
        self._tables = [
            lookahead.table(situation.unit_costs[:, :stages], situation.usd_per_second, most) for stages in counts
        ]
        self._share = more / stage_seconds

    def at(self, work_seconds: Floats) -> Floats:
        """USD, of the shape (jobs,)."""
        less = self._tables[0].at(work_seconds)
        if len(self._tables) == 1:
            return less
        more = self._tables[1].at(work_seconds)
        mixed: Floats = (1.0 - self._share) * less + self._share * more
        return np.where(work_seconds <= self._tables[0].within_seconds, mixed, more)
