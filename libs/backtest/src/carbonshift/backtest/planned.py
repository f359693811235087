"""What boards did that a planner told their mode, interval by interval, from each of many starts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.board_runs import Boards, Runs
from carbonshift.backtest.recorded import Recorded
from carbonshift.common.events import GridTick
from carbonshift.decide.planning.choice import PARKED_MODE, Situation
from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.outlook import Outlook
from carbonshift.decide.planning.seasonal import Clock
from carbonshift.decide.planning.segments import unit_costs_usd_per_j
from carbonshift.decide.policy import JobPolicy

__all__ = ["Expectations", "expected", "planned_runs", "told"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Expectations:
    """What was known and expected at each of `n` intervals."""

    clock: Clock
    prices_now: Floats
    """Shape (n,), USD/MWh."""
    carbon_now: Floats
    """Shape (n,), g/kWh."""
    prices: Floats
    """Shape (n, stages, nodes), USD/MWh."""
    carbon: Floats
    """Shape (n, stages), g/kWh."""
    known: NDArray[np.bool_]
    """Shape (n,): false until both signals have said something that nothing speaks against."""

    def unit_costs(self, intervals: Numbers, stages: int, usd_per_tonne: float) -> tuple[Floats, Floats]:
        """USD/J of the intervals themselves (j,), and of so many stages after them (j, stages, nodes).

        Beyond the last stage the last day of stages repeats itself.
        """
        at = self.clock.unrolled(stages)
        now = unit_costs_usd_per_j(self.prices_now[intervals], self.carbon_now[intervals], usd_per_tonne)
        ahead = unit_costs_usd_per_j(
            self.prices[intervals[:, None], at], self.carbon[intervals[:, None], at, None], usd_per_tonne
        )
        return now, ahead


def expected(recording: Recorded, time_zone: str, progress: Callable[[float], None] | None = None) -> Expectations:
    """Hear the recording event by event, as decide does, and keep what it expected at each interval."""
    clock = Clock(step_seconds=recording.step_seconds, time_zone=time_zone)
    outlook = Outlook(clock)
    count = recording.prices_usd_per_mwh.size
    now = np.zeros((2, count))
    prices = np.zeros((count, clock.stages, outlook.nodes))
    known = np.zeros(count, dtype=np.bool_)
    carbon = np.zeros((count, clock.stages))
    first = recording.first.timestamp()
    for event in recording.heard():
        if not isinstance(event, GridTick):
            outlook.hear_published(event)
            continue
        outlook.hear(event)
        at = int(event.interval_start.timestamp() - first) // recording.step_seconds
        ahead = outlook.ahead() if event.revision == 0 else None
        if ahead is None:
            continue
        known[at] = True
        now[:, at] = ahead.price_now_usd_per_mwh, ahead.carbon_now_g_per_kwh
        prices[at], carbon[at] = ahead.prices_usd_per_mwh, ahead.carbon_g_per_kwh
        if progress and at % 100 == 0:
            progress(at / count)
    return Expectations(clock=clock, prices_now=now[0], carbon_now=now[1], prices=prices, carbon=carbon, known=known)


def told(recording: Recorded, time_zone: str) -> Expectations:
    """The expectations of somebody who is told what comes: what is left is the optimiser, without the forecast."""
    clock = Clock(step_seconds=recording.step_seconds, time_zone=time_zone)
    stage, count = clock.stage, recording.prices_usd_per_mwh.size
    after = np.minimum(
        np.arange(count)[:, None, None] + 1 + np.arange(clock.stages * stage).reshape(clock.stages, stage), count - 1
    )
    return Expectations(
        clock=clock,
        prices_now=recording.prices_usd_per_mwh,
        carbon_now=recording.carbon_g_per_kwh,
        prices=recording.prices_usd_per_mwh[after].mean(axis=2)[:, :, None],
        carbon=recording.carbon_g_per_kwh[after].mean(axis=2),
        known=np.ones(count, dtype=np.bool_),
    )


def planned_runs(
    policy: JobPolicy,
    expectations: Expectations,
    starts: Numbers,
    *,
    work_seconds: float,
    deadline_seconds: float,
    usd_per_gpu_hour: float,
    usd_per_tonne: float,
    device: Device,
    switches: SwitchCosts,
    margin_seconds: float,
    progress: Callable[[float], None] | None = None,
) -> Runs:
    """The job from each start, planned anew in every interval until it is done; late where even full power is.

    Args:
        policy: what plans.
        expectations: of the recording.
        starts: intervals of the recording, shape (s,).
        work_seconds: of the job, at full speed.
        deadline_seconds: from its start.
        usd_per_gpu_hour: value of waiting.
        usd_per_tonne: price of carbon.
        device: the board.
        switches: what pausing and resuming take.
        margin_seconds: before the deadline that shall not be needed.
        progress: told which share of the time until the deadline is done.
    """
    clock = expectations.clock
    step, stage_seconds = float(clock.step_seconds), float(clock.stage * clock.step_seconds)
    boards = Boards(device, switches, clock.step_seconds, starts, work_seconds)
    last = expectations.prices_now.size - 1
    while (todo := np.flatnonzero(boards.work_seconds > 0)).size:
        rest = deadline_seconds - (boards.interval + 1) * step
        at = np.minimum(starts[todo] + boards.interval, last)
        stages = int(max(rest, 0.0) // stage_seconds) + 1
        now, ahead = expectations.unit_costs(at, stages, usd_per_tonne)
        situation = Situation(
            work_seconds=boards.work_seconds[todo],
            running=boards.running[todo],
            unit_costs_now=now,
            unit_costs=ahead,
            rest_seconds=rest,
            margin_seconds=np.full(todo.size, margin_seconds),
            usd_per_second=np.full(todo.size, usd_per_gpu_hour / 3_600.0),
        )
        modes = np.full(starts.size, PARKED_MODE, dtype=np.intp)
        chosen = policy.choose(situation, device, switches, clock)
        modes[todo] = np.where(expectations.known[at], chosen, device.full)  # decide does so while it knows no price
        boards.do(modes)
        if progress:
            progress(min(boards.interval * step / deadline_seconds, 1.0) if deadline_seconds > 0 else 1.0)
    return boards.runs()
