"""What has come of a proposer's questions, for Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from carbonshift.forecast.proposer.counts import ProposerCounts

__all__ = ["ProposerMetrics"]


class ProposerMetrics(Collector):
    """Reads `counts` as Prometheus asks for them, in a thread of its own."""

    def __init__(self, counts: ProposerCounts) -> None:
        self.registry = CollectorRegistry()
        self._counts = counts
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        counts = self._counts
        for name, meaning, value in (
            ("calls", "Questions that went out to the model.", counts.calls),
            ("used", "Answers that became proposals.", counts.used),
            ("from_journal", "Questions that were answered without a call.", counts.from_journal),
            ("dollars", "What the calls cost.", counts.usd),
        ):
            yield CounterMetricFamily(f"carbonshift_proposer_{name}", meaning, value=value)
        dropped = CounterMetricFamily(
            "carbonshift_proposer_dropped", "Questions that brought no proposal.", labels=("reason",)
        )
        for reason, count in counts.dropped.items():
            dropped.add_metric((reason.value,), count)
        yield dropped
