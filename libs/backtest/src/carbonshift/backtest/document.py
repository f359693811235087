"""A study as plain data: what `--json` writes and the report is made from. Complete enough to be checked by others."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.bench import Result
from carbonshift.backtest.example import example
from carbonshift.backtest.resampling import interval_of_ratio
from carbonshift.backtest.settle import Settled, split
from carbonshift.backtest.study import Study
from carbonshift.common.accounting import J_PER_KWH
from carbonshift.common.events import rfc3339
from carbonshift.common.power_curve import PowerCurve

__all__ = ["accounting", "curve_of", "tape_section"]

Floats = NDArray[np.float64]

HOUR_SECONDS = 3_600.0
SPREAD = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
PARTS = ("cap_efficiency", "price_timing", "carbon_timing", "parked_draw", "slowdown")
AS_CHEAP = 1.0 + 1e-9


def accounting(study: Study) -> list[str]:
    """What is counted, and how, in sentences."""
    options, switches = study.options, study.options.switches
    return [
        "The work is completed in every row: nothing is saved by doing less.",
        f"While it waits a board draws {options.curve.parked_w:g} W; after completion it counts nothing.",
        f"Pausing takes {switches.pause_seconds:g} s, resuming {switches.resume_seconds:g} s, at the highest draw.",
        f"Total: the energy bill, CO2 at ${options.usd_per_tonne:g}/t, and GPU-hours at ${options.usd_per_gpu_hour:g}.",
        "A limit is not a draw: what is paid for is the mean draw under the limit.",
        "The best static cap is the limit that costs least over all starts in time: it is chosen with hindsight.",
        "T, the timing share: (best static cap - policy) / (best static cap - perfect foresight), over all runs.",
        "A policy that is late has no T.",
        "Intervals of 95 %: bootstrap over whole weeks, paired on the same starts.",
        "All of it is modelled: recorded prices and carbon intensities, and a published curve of draw and speed.",
    ]


def curve_of(curve: PowerCurve) -> dict[str, Any]:
    """The board."""
    return {
        "name": curve.name,
        "source": curve.source,
        "limits_w": list(curve.limits_w),
        "draws_w": list(curve.draws_w),
        "speeds": list(curve.speeds),
        "parked_w": curve.parked_w,
    }


def tape_section(study: Study) -> dict[str, Any]:
    """Everything about one tape."""
    recording, sidecar = study.recording, study.recording.tape.sidecar
    names = list(next(iter(study.results.values())))
    return {
        "tape": recording.name,
        "region": sidecar.region,
        "from": rfc3339(recording.first),
        "to": rfc3339(recording.moment(recording.prices_usd_per_mwh.size)),
        "step_seconds": recording.step_seconds,
        "carbon_basis": sidecar.carbon_basis.value,
        "price_market": sidecar.price_market.value,
        "day_ahead_known": bool(recording.published),
        "filled": {"prices": recording.bridged_prices, "carbon": recording.bridged_carbon},
        "pooled": {name: _summary(study, name, list(study.results)) for name in names},
        "slacks": [_slack(study, slack) for slack in study.results],
        **_gaps(study),
        "pareto": [asdict(point) for point in study.front],
        "example": example(study),
    }


def _slack(study: Study, slack: float) -> dict[str, Any]:
    results = study.results[slack]
    return {
        "slack": slack,
        "deadline_hours": study.options.deadline_seconds(slack) / HOUR_SECONDS,
        "cap_limit_w": results["static-cap"].limit_w,
        "policies": {
            name: {**_summary(study, name, [slack]), "runs": _runs(study, result)} for name, result in results.items()
        },
    }


def _summary(study: Study, name: str, slacks: Sequence[float]) -> dict[str, Any]:
    """One policy beside the others, over these slacks; of starts that it finished under all of them."""
    chosen = [study.results[slack] for slack in slacks]
    own = [results[name].settled for results in chosen]
    now, cap = ([results[other].settled for results in chosen] for other in ("run-now", "static-cap"))
    oracle = [results["oracle"].settled for results in chosen] if "oracle" in chosen[0] else None
    kept = np.logical_and.reduce([runs.finished for runs in (*own, *now, *cap)])

    def total(runs: Sequence[Settled], attribute: str = "total_usd") -> Floats:
        summed: Floats = np.sum([getattr(each, attribute)[kept] for each in runs], axis=0)
        return summed

    moments = np.array([study.recording.moment(int(start)).timestamp() for start in study.starts[kept]], dtype=np.int64)
    totals, of_now, of_cap = total(own), total(now), total(cap)
    summary: dict[str, Any] = {
        "runs": int(sum(each.finished.size for each in own)),
        "unfinished": int(sum((~each.finished).sum() for each in own)),
        "late": int(sum(each.late.sum() for each in own)),
        "cost_usd": float(total(own, "cost_usd").sum()),
        "carbon_kg": float(total(own, "carbon_g").sum()) / 1e3,
        "total_usd": float(totals.sum()),
        "energy_kwh": float(total(own, "energy_j").sum()) / J_PER_KWH,
        "parked_energy_kwh": float(total(own, "waiting_energy_j").sum()) / J_PER_KWH,
        "mean_hours": _mean(total(own, "finish_seconds") / len(slacks) / HOUR_SECONDS),
        "pauses_per_run": _mean(total(own, "pauses") / len(slacks)),
    }
    seed, in_time = study.options.seed, not any(each.late.any() for each in own)
    for key, above, below in (
        ("saved_share_of_run_now", of_now - totals, of_now),
        ("saved_share_of_cap", of_cap - totals, of_cap),
        ("timing_share", of_cap - totals, of_cap - total(oracle) if oracle and in_time else np.zeros_like(of_cap)),
    ):
        summary[key] = _ratio(above, below)
        summary[f"{key}_interval"] = interval_of_ratio(above, below, moments, seed)
    for key, attribute in (("bill_saved_share_of_run_now", "cost_usd"), ("carbon_saved_share_of_run_now", "carbon_g")):
        summary[key] = _ratio(total(now, attribute) - total(own, attribute), total(now, attribute))
    not_worse = [_not_worse(each, other)[kept] for each, other in zip(own, cap, strict=True)]
    summary["not_worse_than_cap_share"] = _mean(np.concatenate(not_worse).astype(np.float64))
    summary["spread_of_saving"] = _spread(of_cap, totals)
    parts = [split(each, other) for each, other in zip(own, now, strict=True)]
    causes = {part: float(sum(getattr(each, part)[kept].sum() for each in parts)) for part in PARTS}
    summary["split_usd"] = {**causes, "total": sum(causes.values())}
    summary["same_clock"] = _same_clock(study, name, slacks, kept)
    return summary


def _not_worse(run: Settled, cap: Settled) -> NDArray[np.bool_]:
    """Which runs are in time and cost no more."""
    limit = np.where(cap.total_usd > 0, cap.total_usd * AS_CHEAP, cap.total_usd)
    fine: NDArray[np.bool_] = ~run.late & (run.total_usd <= limit)
    return fine


def _same_clock(study: Study, name: str, slacks: Sequence[float], kept: NDArray[np.bool_]) -> dict[str, float | None]:
    """In the time that running at once takes: what was done and what it took. Whoever waits has done less by then."""
    recording = study.recording
    sums = np.zeros((2, 3))
    for slack in slacks:
        for row, other in enumerate((name, "run-now")):
            runs = study.results[slack][other].runs.until(study.options.work_seconds)
            steps = np.arange(runs.switch_seconds.shape[1])
            at = np.minimum(runs.starts[:, None] + steps, recording.prices_usd_per_mwh.size - 1)
            sums[row] += (
                (runs.energy_j * recording.prices_usd_per_mwh[at])[kept].sum(),
                (runs.energy_j * recording.carbon_g_per_kwh[at])[kept].sum(),
                runs.work_seconds[kept].sum(),
            )
    own, now = sums
    return {
        "work_share": float(own[2] / now[2]) if now[2] > 0 else None,
        "bill_saved_share": float(1 - own[0] / now[0]) if now[0] > 0 else None,
        "carbon_saved_share": float(1 - own[1] / now[1]) if now[1] > 0 else None,
    }


def _runs(study: Study, result: Result) -> list[dict[str, Any]]:
    """Each start with its whole schedule, from which everything else of it can be settled anew."""
    account = result.settled
    step = study.recording.step_seconds
    rows = []
    for run, start in enumerate(study.starts):
        row: dict[str, Any] = {
            "start": int(start),
            "start_time": rfc3339(study.recording.moment(int(start))),
            "finished": bool(account.finished[run]),
            "late": bool(account.late[run]),
            "finish_seconds": float(account.finish_seconds[run]),
            "work_seconds": float(account.work_seconds[run]),
            "energy_j": float(account.energy_j[run]),
            "parked_energy_j": float(account.waiting_energy_j[run]),
            "cost_usd": float(account.cost_usd[run]),
            "carbon_g": float(account.carbon_g[run]),
            "total_usd": float(account.total_usd[run]),
            "pauses": int(account.pauses[run]),
            "schedule": [
                {
                    "step": int((seconds_after + 1e-6) // step),
                    "offset_seconds": seconds_after,
                    "seconds": seconds,
                    "mode": mode,
                    "limit_w": limit_w,
                    "watts": draw_w,
                }
                for seconds_after, seconds, mode, limit_w, draw_w in result.runs.segments(run)
            ],
        }
        if result.lower_bound_usd is not None:
            row["lower_bound_usd"] = float(result.lower_bound_usd[run])
        rows.append(row)
    return rows


def _gaps(study: Study) -> dict[str, float | None]:
    """Of the oracle: how far its schedules could be from the best at most, as a share of what they cost."""
    gaps = [
        (result.settled.total_usd - result.lower_bound_usd) / np.maximum(np.abs(result.settled.total_usd), 1e-12)
        for results in study.results.values()
        if (result := results.get("oracle")) and result.lower_bound_usd is not None
    ]
    if not gaps:
        return {"oracle_gap_mean": None, "oracle_gap_max": None}
    every = np.concatenate(gaps)
    return {"oracle_gap_mean": float(every.mean()), "oracle_gap_max": float(every.max())}


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None


def _ratio(above: Floats, below: Floats) -> float | None:
    return float(above.sum() / below.sum()) if below.sum() > 0 else None


def _spread(of_cap: Floats, totals: Floats) -> dict[str, float] | None:
    """Of the saving over the starts, in % of what the cap costs on average: so a cheap start does not weigh more."""
    if not totals.size or of_cap.mean() <= 0:
        return None
    savings = (of_cap - totals) / of_cap.mean() * 100.0
    return {key: float(np.quantile(savings, quantile)) for key, quantile in SPREAD.items()}
