"""What a worker says, for Prometheus: the latest telemetry of each board, and how often what happened."""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from carbonshift.common.events import Event, JobStatus, RunState, WorkerEvent, WorkerEventKind, WorkerTelemetry

__all__ = ["Metrics"]


BOARD = ("device", "clock")
"""`clock` is `wall`, or `replay`: a recording's hours are nobody's energy bill."""


GAUGES: tuple[tuple[str, str, Callable[[WorkerTelemetry], float | None]], ...] = (
    ("power_watts", "What the board draws.", lambda told: told.power_w),
    ("power_limit_watts", "The power limit that was asked for.", lambda told: told.power_limit_w),
    ("enforced_limit_watts", "The power limit that the board obeys.", lambda told: told.enforced_limit_w),
    ("allowance_watts", "What the board may draw of its site's budget.", lambda told: told.allowance_w),
    ("running", "Whether training runs on it.", lambda told: float(told.run_state is RunState.RUNNING)),
    ("energy_cost_dollars", "What the energy cost; falls at negative prices.", lambda told: told.account.cost_usd),
    ("parked_energy_joules", "The part drawn while training waited.", lambda told: told.account.parked_j),
    ("energy_error_joules", "By how much integration may be off at most.", lambda told: told.account.error_j),
    ("unpriced_energy_joules", "The part that has no price yet.", lambda told: told.account.unpriced_j),
    ("uncounted_energy_joules", "The part that has no carbon intensity yet.", lambda told: told.account.uncounted_j),
)


class Metrics(Collector):
    """Gathers what is noted; scraped in a thread of its own, so what it reads is replaced, never changed."""

    def __init__(self) -> None:
        self._latest: dict[str, WorkerTelemetry] = {}
        self._happened: Counter[tuple[str, WorkerEventKind]] = Counter()
        self._jobs: dict[str, RunState] = {}

    def note(self, event: Event) -> None:
        """Something has been said."""
        if isinstance(event, WorkerTelemetry):
            self._latest = {**self._latest, event.device_uuid: event}
        elif isinstance(event, WorkerEvent):
            self._happened = self._happened + Counter([(event.device_uuid, event.event)])
        elif isinstance(event, JobStatus):
            jobs = {**self._jobs, event.job: event.state}
            self._jobs = {job: state for job, state in jobs.items() if state is not RunState.ENDED}

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        latest = tuple(self._latest.values())
        for name, meaning, value in GAUGES:
            gauge = GaugeMetricFamily(f"carbonshift_{name}", meaning, labels=BOARD)
            for told in latest:
                if (now := value(told)) is not None:
                    gauge.add_metric(_board(told), now)
            yield gauge
        energy = CounterMetricFamily("carbonshift_energy_joules", "Energy drawn.", labels=(*BOARD, "basis"))
        carbon = CounterMetricFamily("carbonshift_carbon_grams", "CO2 of it.", labels=(*BOARD, "carbon_basis"))
        for told in latest:
            energy.add_metric((*_board(told), told.energy_basis), told.energy_j)
            carbon.add_metric((*_board(told), "marginal"), told.account.marginal_carbon_g)
            carbon.add_metric((*_board(told), "average"), told.account.average_carbon_g)
        yield energy
        yield carbon
        happened = CounterMetricFamily("carbonshift_worker_events", "What happened.", labels=("device", "event"))
        for (device, kind), count in self._happened.items():
            happened.add_metric((device, kind), count)
        yield happened
        jobs, states = (
            GaugeMetricFamily("carbonshift_jobs", "Jobs here.", labels=("state",)),
            Counter(self._jobs.values()),
        )
        for state in (RunState.RUNNING, RunState.PAUSED, RunState.PARKED):
            jobs.add_metric((state,), states[state])
        yield jobs


def _board(told: WorkerTelemetry) -> tuple[str, str]:
    return told.device_uuid, "replay" if told.replay else "wall"
