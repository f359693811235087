"""What runs took, settled by what the grid came to be; and a saving split by its causes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.board_runs import Runs
from carbonshift.common.accounting import J_PER_KWH, J_PER_MWH

__all__ = ["Settled", "Split", "settled", "split"]

Floats = NDArray[np.float64]

G_PER_TONNE = 1e6
UNFINISHED = 1e-9
"""Share of the work whose lack makes a run unfinished."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Settled:
    """Shape (s,) each: one job from each of `s` starts."""

    finished: NDArray[np.bool_]
    """False where the recording ended before the work was done; of such a run nothing is compared."""
    late: NDArray[np.bool_]
    """Not done by the deadline: those that are not finished are, as a recording goes on until the last one."""
    work_seconds: Floats
    finish_seconds: Floats
    pauses: NDArray[np.intp]
    energy_j: Floats
    waiting_energy_j: Floats
    """The part of `energy_j` drawn parked and in switches."""
    cost_usd: Floats
    """Of the energy."""
    carbon_g: Floats
    waiting_cost_usd: Floats
    """The part of `cost_usd` for `waiting_energy_j`."""
    waiting_carbon_g: Floats
    gpu_hours_usd: Floats
    """The time until completion at the job's value of a GPU-hour."""
    usd_per_tonne: float

    @property
    def total_usd(self) -> Floats:
        """Energy, carbon and GPU-hours."""
        return self.cost_usd + self.carbon_g / G_PER_TONNE * self.usd_per_tonne + self.gpu_hours_usd


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Split:
    """Where a saving comes from, in USD; shape (s,) each, negative where it costs. They sum to the saving."""

    cap_efficiency: Floats
    """Less energy for the same work, at the mean price and carbon intensity of the run it is compared with."""
    price_timing: Floats
    """The energy of the work at other prices than that mean."""
    carbon_timing: Floats
    """The same of carbon."""
    parked_draw: Floats
    """What is drawn while no work is done, its carbon included."""
    slowdown: Floats
    """GPU-hours longer."""


def settled(
    runs: Runs,
    prices_usd_per_mwh: Floats,
    carbon_g_per_kwh: Floats,
    *,
    work_seconds: float,
    deadline_seconds: float,
    usd_per_tonne: float,
    usd_per_gpu_hour: float,
) -> Settled:
    """The account of `runs`.

    Args:
        runs: what the boards did.
        prices_usd_per_mwh: shape (n,), of the recording.
        carbon_g_per_kwh: shape (n,).
        work_seconds: what was to be done.
        deadline_seconds: from each start.
        usd_per_tonne: price of carbon.
        usd_per_gpu_hour: value of a GPU-hour.
    """
    at = np.minimum(runs.starts[:, None] + np.arange(runs.switch_seconds.shape[1]), prices_usd_per_mwh.size - 1)
    usd_per_j = prices_usd_per_mwh[at] / J_PER_MWH
    g_per_j = carbon_g_per_kwh[at] / J_PER_KWH
    energy_j, waiting_j = runs.energy_j, runs.parked_j + runs.switch_j
    finish = runs.finish_seconds
    finished = runs.work_seconds >= work_seconds * (1.0 - UNFINISHED)
    return Settled(
        finished=finished,
        late=~finished | (finish > deadline_seconds * (1.0 + UNFINISHED)),
        work_seconds=runs.work_seconds,
        finish_seconds=finish,
        pauses=runs.pauses,
        energy_j=energy_j.sum(axis=1),
        waiting_energy_j=waiting_j.sum(axis=1),
        cost_usd=(energy_j * usd_per_j).sum(axis=1),
        carbon_g=(energy_j * g_per_j).sum(axis=1),
        waiting_cost_usd=(waiting_j * usd_per_j).sum(axis=1),
        waiting_carbon_g=(waiting_j * g_per_j).sum(axis=1),
        gpu_hours_usd=finish / 3_600.0 * usd_per_gpu_hour,
        usd_per_tonne=usd_per_tonne,
    )


def split(run: Settled, now: Settled) -> Split:
    """The saving of `run` over `now`, the same work at once at full power, split by cause."""
    per_tonne = run.usd_per_tonne / G_PER_TONNE
    working_j = run.energy_j - run.waiting_energy_j
    with np.errstate(invalid="ignore", divide="ignore"):
        usd_per_j = np.where(now.energy_j > 0, now.cost_usd / now.energy_j, 0.0)
        g_per_j = np.where(now.energy_j > 0, now.carbon_g / now.energy_j, 0.0)
    return Split(
        cap_efficiency=(now.energy_j - working_j) * (usd_per_j + g_per_j * per_tonne),
        price_timing=working_j * usd_per_j - (run.cost_usd - run.waiting_cost_usd),
        carbon_timing=(working_j * g_per_j - (run.carbon_g - run.waiting_carbon_g)) * per_tonne,
        parked_draw=-(run.waiting_cost_usd + run.waiting_carbon_g * per_tonne),
        slowdown=now.gpu_hours_usd - run.gpu_hours_usd,
    )
