"""How late each source is: from the end of an interval to the moment its value was had, for Prometheus."""

import logging

from prometheus_client import CollectorRegistry, Histogram

from carbonshift.ingest.reading import Signal

__all__ = ["Delays"]

BUCKETS_SECONDS = (-3_600.0, -300.0, -60.0, 0.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 86_400.0)
"""A day-ahead price is had before its interval begins."""
logger = logging.getLogger("carbonshift.ingest")


class Delays:
    """Collects `observed_at - interval_end` per source and signal."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._histogram = Histogram(
            "carbonshift_ingest_publication_delay_seconds",
            "From the end of an interval to the moment its value was first had from the source.",
            ("source", "signal"),
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )

    def observe(self, source: str, signal: Signal, delay_seconds: float) -> None:
        """Count one interval."""
        logger.debug("%s: %s had %.0f s after its interval", source, signal.value, delay_seconds)
        self._histogram.labels(source, signal.value).observe(delay_seconds)
