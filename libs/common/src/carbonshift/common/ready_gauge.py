"""How far a service has come, for Prometheus."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

__all__ = ["ReadyGauge"]


class ReadyGauge(Collector):
    """Reads `parts`, what the service takes to do its work and whether it is there, as Prometheus asks for it."""

    def __init__(self, parts: Callable[[], Mapping[str, bool]]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        gauge = GaugeMetricFamily(
            "carbonshift_ready", "Whether what the service takes to do its work is there.", labels=("part",)
        )
        for part, is_there in self._parts().items():
            gauge.add_metric((part,), float(is_there))
        yield gauge
