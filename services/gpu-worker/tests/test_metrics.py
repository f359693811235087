from datetime import UTC, datetime

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from carbonshift.common.events import (
    Account,
    EnergyBasis,
    JobStatus,
    Replay,
    RunState,
    WorkerEvent,
    WorkerEventKind,
    WorkerTelemetry,
)
from carbonshift.gpu_worker.metrics import Metrics

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
BOARD = {"worker": "w", "site": "s", "region": "caiso", "device_uuid": "GPU-1", "observed_at": NOON}
ACCOUNT = {
    "since": NOON,
    "error_j": 0.0,
    "parked_j": 400.0,
    "cost_usd": -0.25,
    "marginal_carbon_g": 7.0,
    "average_carbon_g": 0.0,
    "unpriced_j": 10.0,
    "uncounted_j": 20.0,
    "stand_in_j": 0.0,
}


def telemetry(**given):
    return WorkerTelemetry(
        **BOARD
        | {
            "power_w": 120.0,
            "power_limit_w": 200.0,
            "enforced_limit_w": None,
            "allowance_w": 200.0,
            "ceiling_w": 700.0,
            "energy_j": 1_000.0,
            "energy_basis": EnergyBasis.MEASURED,
            "account": Account(**ACCOUNT),
            "run_state": RunState.RUNNING,
        }
        | given
    )


def event(kind, sequence):
    return WorkerEvent(**BOARD, sequence=sequence, started_at=NOON, event=kind, detail={})


def scraped(metrics):
    families = text_string_to_metric_families(generate_latest(metrics).decode())
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_the_latest_of_each_board_is_told_and_what_it_does_not_tell_is_left_out():
    metrics = Metrics()
    assert not [name for name, *_ in scraped(metrics) if name != "carbonshift_jobs"]
    metrics.note(telemetry(energy_j=900.0))
    metrics.note(telemetry())
    metrics.note(telemetry(device_uuid="GPU-2", replay=Replay(run="july"), energy_basis="estimated"))
    for sequence, kind in enumerate((WorkerEventKind.CAPPED, WorkerEventKind.CAPPED, WorkerEventKind.CAP_REFUSED)):
        metrics.note(event(kind, sequence))
    told = scraped(metrics)
    assert told["carbonshift_power_watts", "GPU-1", "wall"] == 120.0
    assert ("carbonshift_enforced_limit_watts", "GPU-1", "wall") not in told
    assert told["carbonshift_energy_joules_total", "GPU-1", "measured", "wall"] == 1_000.0
    assert told["carbonshift_energy_joules_total", "GPU-2", "estimated", "replay"] == 1_000.0
    assert told["carbonshift_energy_cost_dollars", "GPU-1", "wall"] == -0.25
    assert told["carbonshift_parked_energy_joules", "GPU-1", "wall"] == 400.0
    assert told["carbonshift_carbon_grams_total", "GPU-1", "marginal", "wall"] == 7.0
    assert told["carbonshift_worker_events_total", "GPU-1", "capped"] == 2
    assert told["carbonshift_worker_events_total", "GPU-1", "cap_refused"] == 1


def test_the_jobs_here_are_counted_by_what_they_do_and_none_is_named():
    metrics = Metrics()
    for job, state in (("a", "running"), ("b", "running"), ("c", "parked"), ("a", "paused"), ("b", "ended")):
        metrics.note(
            JobStatus(job=job, worker="w", site="s", region="caiso", observed_at=NOON, state=RunState(state), step=1)
        )
    told = scraped(metrics)
    counts = {state: told["carbonshift_jobs", state] for state in ("running", "paused", "parked")}
    assert counts == {"running": 0, "paused": 1, "parked": 1}
