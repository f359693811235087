"""What the dashboard has heard, for Prometheus."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from carbonshift.dashboard.feed import Feed

__all__ = ["FeedMetrics"]


class FeedMetrics(Collector):
    """Reads `feed` as Prometheus asks for it."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks for it."""
        heard = CounterMetricFamily(
            "carbonshift_dashboard_events", "Events heard, some twice after a reconnection.", labels=("kind",)
        )
        for kind, count in self._feed.heard_events.copy().items():
            heard.add_metric((kind,), count)
        yield heard
        yield CounterMetricFamily(
            "carbonshift_dashboard_unreadable_messages",
            "Messages that were no valid event.",
            value=self._feed.unreadable_messages,
        )
