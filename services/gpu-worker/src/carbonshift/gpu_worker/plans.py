"""The plans a worker has heard, and which of a job's is in force. Pure."""

from datetime import datetime, timedelta

from carbonshift.common.events import JobPlan
from carbonshift.gpu_worker.orders import Mode

__all__ = ["Plans"]

JOBS_KEPT = 1_000
"""With each replay counted as another; beyond it those whose plan was renewed longest ago go."""
PLANS_KEPT = 16
"""Of one job, the newest: those in force and those to come, where the time here lags behind what is heard."""


class Plans:
    """The newest plans of each job, of which the last to have begun is in force. Times are event time."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str | None], tuple[JobPlan, ...]] = {}

    def hear(self, plan: JobPlan) -> None:
        """Keep `plan` where it is newer than what there is of its job."""
        key = (plan.job, plan.replay.run if plan.replay else None)
        kept = self._plans.get(key, ())
        if kept and plan.origin <= kept[-1].origin:
            return
        self._plans.pop(key, None)
        self._plans[key] = (*kept[1 - PLANS_KEPT :], plan)
        while len(self._plans) > JOBS_KEPT:
            del self._plans[next(iter(self._plans))]

    def mode(self, job: str, run: str | None, now: datetime) -> Mode | None:
        """What `job` shall do at `now` in replay `run`; None without a plan in force.

        Plans may come before their first step does: until then the one before counts.
        """
        plan = self._begun(job, run, now)
        if plan is None or now >= plan.valid_until:
            return None
        return plan.modes[min(_step(plan, now), len(plan.modes) - 1)]

    def next_turn(self, job: str, run: str | None, now: datetime) -> datetime | None:
        """The first moment after `now` at which `mode` may say something else, as far as is known."""
        turns = [plan.origin for plan in self._plans.get((job, run), ()) if plan.origin > now]
        plan = self._begun(job, run, now)
        if plan is not None and now < plan.valid_until:
            turns += [plan.origin + (_step(plan, now) + 1) * timedelta(seconds=plan.step_seconds), plan.valid_until]
        return min(turns, default=None)

    def next_run(self, job: str, run: str | None, now: datetime) -> datetime | None:
        """The first moment from `now` on at which the plan in force has `job` run; None where it has none."""
        plan = self._begun(job, run, now)
        if plan is None or now >= plan.valid_until:
            return None
        step = _step(plan, now)
        for later, mode in enumerate(plan.modes[step:], step):
            if mode != "paused":
                return max(now, plan.origin + later * timedelta(seconds=plan.step_seconds))
        return None

    def _begun(self, job: str, run: str | None, now: datetime) -> JobPlan | None:
        begun = [plan for plan in self._plans.get((job, run), ()) if plan.origin <= now]
        return begun[-1] if begun else None


def _step(plan: JobPlan, now: datetime) -> int:
    return (now - plan.origin) // timedelta(seconds=plan.step_seconds)
