"""What a site could shed: its live devices, the jobs on them, and what waiting would cost these."""

import math
from collections.abc import Sequence

import numpy as np

from carbonshift.common.events import Flexibility, GridTick
from carbonshift.decide.job_desk import SWITCHES, JobDesk, Remaining, board_of
from carbonshift.decide.planning.flexibility import SHED_SECONDS, Waiter, sheds, shift_costs_usd
from carbonshift.decide.planning.job import Device
from carbonshift.decide.planning.outlook import Ahead, Outlook
from carbonshift.decide.planning.plan import situation_of
from carbonshift.decide.planning.segments import unit_costs_usd_per_j
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.token_desk import Heard

__all__ = ["flexibility"]


def flexibility(
    site: str,
    tick: GridTick,
    devices: Sequence[Heard],
    jobs: JobDesk,
    outlook: Outlook | None,
    settings: DecideSettings,
) -> Flexibility:
    """The offer of one site for one interval.

    Args:
        site: its name.
        tick: the interval.
        devices: those alive in the region of `tick`; one without a job has nothing to shed.
        jobs: what is known of the jobs.
        outlook: of the region; None where there is none.
        settings: in force in the region.
    """
    ahead = outlook.ahead() if outlook else None
    waiters = []
    for device in devices:
        if device.job is None or device.draw.ceiling_w <= 0:
            continue
        board, remaining = board_of(device.draw.ceiling_w), jobs.remaining(device.job, tick)
        waiters.append(
            Waiter(
                job=device.job,
                watts=max(device.draw.allowance_w - board.parked_w, 0.0),
                longest_seconds=_longest_seconds(remaining, board, jobs.deadline(device.job, tick) is not None),
                costs_usd=_costs_usd(remaining, board, ahead, outlook, settings),
            )
        )
    return Flexibility(
        site=site,
        region=tick.region,
        interval_start=tick.interval_start,
        committed_w=sum(device.draw.allowance_w for device in devices),
        sheds=sheds(waiters),
        replay=tick.replay,
    )


def _longest_seconds(remaining: Remaining | None, board: Device, has_deadline: bool) -> float:  # noqa: FBT001
    if remaining is None:  # with a deadline, and nobody knows how much is left: it cannot wait
        return 0.0 if has_deadline else math.inf
    job = remaining.job
    busy = job.work_seconds / max(board.speeds) + SWITCHES.pause_seconds + SWITCHES.resume_seconds
    return job.deadline_seconds - remaining.margin_seconds - busy


def _costs_usd(
    remaining: Remaining | None, board: Device, ahead: Ahead | None, outlook: Outlook | None, settings: DecideSettings
) -> tuple[float | None, ...]:
    """A job without a deadline only draws its parked watts for longer: nobody says when it would have ended."""
    if ahead is None or outlook is None:
        return (None,) * len(SHED_SECONDS)
    clock = outlook.clock
    if remaining is None:
        now = np.array([ahead.price_now_usd_per_mwh]), np.array([ahead.carbon_now_g_per_kwh])
        usd_per_j = float(unit_costs_usd_per_j(*now, settings.usd_per_tonne)[0])
        switch_j = (SWITCHES.pause_seconds + SWITCHES.resume_seconds) * board.switch_w
        return tuple(max(usd_per_j * (board.parked_w * seconds + switch_j), 0.0) for seconds in SHED_SECONDS)
    situation = situation_of(ahead, remaining.job, remaining.margin_seconds, clock, settings.usd_per_tonne)
    step, stage = float(clock.step_seconds), float(clock.stage * clock.step_seconds)
    return tuple(shift_costs_usd(situation, board, SWITCHES, step, stage).tolist())
