"""What boards did that follow the state of the grid, from each of many starts, until the work is done."""

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.board_runs import NOTHING, Boards, Runs
from carbonshift.common.power_curve import PowerCurve
from carbonshift.decide.planning.choice import PARKED_MODE
from carbonshift.decide.planning.job import Device, SwitchCosts

__all__ = ["followed_runs"]

Floats = NDArray[np.float64]


def followed_runs(
    limits_w: Floats,
    step_seconds: int,
    starts: NDArray[np.intp],
    work_seconds: float,
    curve: PowerCurve,
    switches: SwitchCosts,
) -> Runs:
    """The job from each start: under the limit where there is one, parked where there is none.

    Args:
        limits_w: shape (n,), of each interval of the recording; NaN = may not run.
        step_seconds: length of an interval.
        starts: intervals of the recording, shape (s,).
        work_seconds: of the job, at full speed.
        curve: the board; limits beyond its measured ones are its nearest.
        switches: what pausing and resuming take.

    Returns: the runs; those that the recording ends before stay unfinished.
    """
    device, modes = _modes(limits_w, curve)
    boards = Boards(device, switches, step_seconds, starts, work_seconds)
    while True:
        at = starts + boards.interval
        inside = at < modes.size
        if not (inside & (boards.work_seconds > 0)).any():
            return boards.runs()
        boards.do(np.where(inside, modes[np.minimum(at, modes.size - 1)], NOTHING))


def _modes(limits_w: Floats, curve: PowerCurve) -> tuple[Device, NDArray[np.intp]]:
    """A device with every limit that occurs beside the measured ones, and the mode of each interval."""
    low, high = curve.limits_w[0], curve.limits_w[-1]
    within = np.clip(limits_w, low, high)
    occurring = np.unique(within[~np.isnan(within)])
    all_w = np.union1d(occurring, np.array(curve.limits_w))
    device = Device(
        limits_w=tuple(float(limit) for limit in all_w),
        draws_w=tuple(curve.draw_w(float(limit)) for limit in all_w),
        speeds=tuple(curve.speed(float(limit)) for limit in all_w),
        parked_w=curve.parked_w,
    )
    modes = np.where(np.isnan(within), PARKED_MODE, np.searchsorted(all_w, np.nan_to_num(within, nan=low)))
    return device, modes.astype(np.intp)
