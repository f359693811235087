"""What has come of the questions to a model, for Prometheus."""

from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from carbonshift.common.paid_model.counts import CallCounts

__all__ = ["CallMetrics"]


class CallMetrics(Collector):
    """Reads `counts` as Prometheus asks for them, in a thread of its own."""

    def __init__(self, prefix: str, counts: CallCounts, own: Mapping[str, str]) -> None:
        """Begin.

        Args:
            prefix: of every name, `carbonshift_proposer`.
            counts: may have more than every model's.
            own: which those are, and what each means.
        """
        self._prefix, self._counts, self._own = prefix, counts, own

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        counts = self._counts
        for name, meaning, value in (
            ("calls", "Questions that went out to the model.", counts.calls),
            ("from_journal", "Questions that were answered without a call.", counts.from_journal),
            ("dollars", "What the calls cost.", counts.usd),
            *((name, meaning, getattr(counts, name)) for name, meaning in self._own.items()),
        ):
            yield CounterMetricFamily(f"{self._prefix}_{name}", meaning, value=value)
        dropped = CounterMetricFamily(
            f"{self._prefix}_dropped", "What has brought nothing that can be used.", labels=("reason",)
        )
        for reason, count in counts.dropped.items():
            dropped.add_metric((reason,), count)
        yield dropped
