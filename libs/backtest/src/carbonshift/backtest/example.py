"""One start to be looked at: the one in the middle of the distribution of savings, not the best."""

from typing import Any

import numpy as np

from carbonshift.backtest.study import Study
from carbonshift.common.events import rfc3339

__all__ = ["example"]

HOUR_SECONDS = 3_600.0


def example(study: Study) -> dict[str, Any]:
    """Price, carbon and the mean draw of every policy, step by step, until the last policy in time is done."""
    results, recording = study.results[study.middle_slack], study.recording
    leading = results.get("planner") or list(results.values())[-1]
    savings = results["static-cap"].settled.total_usd - leading.settled.total_usd
    run = int(np.argsort(savings, kind="stable")[savings.size // 2])
    start, step = int(study.starts[run]), recording.step_seconds
    deadline_seconds = study.options.deadline_seconds(study.middle_slack)
    count = max(int(np.ceil(deadline_seconds / step - 1e-9)), 1)
    power_w = {}
    for name, result in results.items():
        energy_j = result.runs.energy_j[run, :count]
        power_w[name] = [float(watts) for watts in energy_j / step] + [0.0] * (count - energy_j.size)
    steps = slice(start, start + count)
    return {
        "slack": study.middle_slack,
        "start": rfc3339(recording.moment(start)),
        "step_seconds": step,
        "deadline_hours": deadline_seconds / HOUR_SECONDS,
        "hours": [number * step / HOUR_SECONDS for number in range(count)],
        "prices_usd_per_mwh": [float(price) for price in recording.prices_usd_per_mwh[steps]],
        "carbon_g_per_kwh": [float(carbon) for carbon in recording.carbon_g_per_kwh[steps]],
        "power_w": power_w,
    }
