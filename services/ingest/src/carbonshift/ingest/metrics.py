"""How well the sources serve, and what was published of them, for Prometheus."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from carbonshift.common.bounded_label import BoundedLabel
from carbonshift.common.events import Event, GridTick, Quality
from carbonshift.ingest.reading import Signal

__all__ = ["IngestMetrics"]

BUCKETS_SECONDS = (-3_600.0, -300.0, -60.0, 0.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 86_400.0)
"""A day-ahead price is had before its interval begins."""
logger = logging.getLogger("carbonshift.ingest")


def utc_now() -> datetime:
    """The time of the world."""
    return datetime.now(UTC)


class IngestMetrics:
    """Registers in `registry`, and keeps what happens."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], datetime] = utc_now) -> None:
        """Nothing has happened yet; `clock` tells the time in UTC."""
        self._clock = clock
        self._region = BoundedLabel()
        self._newest: dict[tuple[str, Signal], datetime] = {}
        self._delays = Histogram(
            "carbonshift_ingest_publication_delay_seconds",
            "From the end of an interval to the moment its value was first had from the source.",
            ("source", "signal"),
            buckets=BUCKETS_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "carbonshift_ingest_source_failures_total",
            "Questions to which a source had no answer that can be used.",
            ("source", "signal"),
            registry=registry,
        )
        self._events = Counter("carbonshift_ingest_events_total", "Events published.", ("kind",), registry=registry)
        self._values = Counter(
            "carbonshift_ingest_values_total",
            "Values of ticks by how they came about when they were first told.",
            ("region", "signal", "quality"),
            registry=registry,
        )
        self._age = Gauge(
            "carbonshift_ingest_signal_age_seconds",
            "From the end of the newest live interval of which a source told the value until now.",
            ("region", "signal"),
            registry=registry,
        )

    def had(self, source: str, signal: Signal, delay_seconds: float) -> None:
        """A source had an interval so long after its end."""
        logger.debug("%s: %s had %.0f s after its interval", source, signal.value, delay_seconds)
        self._delays.labels(source, signal.value).observe(delay_seconds)

    def failed(self, source: str, signal: Signal) -> None:
        """A source had no answer."""
        self._failures.labels(source, signal.value).inc()

    def stored(self, events: Sequence[Event]) -> None:
        """Events have been published."""
        for event in events:
            self._events.labels(event.kind).inc()
            if isinstance(event, GridTick):
                region = self._region.of(event.region)
                self._value(event, region, Signal.PRICE, event.price_quality)
                self._value(event, region, Signal.CARBON, event.carbon_quality)

    def _value(self, tick: GridTick, region: str, signal: Signal, quality: Quality) -> None:
        if not tick.revision:
            self._values.labels(region, signal.value, quality.value).inc()
        if quality.is_told and tick.replay is None:
            if (region, signal) not in self._newest:
                self._age.labels(region, signal.value).set_function(lambda: self._age_seconds(region, signal))
            self._newest[region, signal] = max(tick.interval_end, self._newest.get((region, signal), tick.interval_end))

    def _age_seconds(self, region: str, signal: Signal) -> float:
        return (self._clock() - self._newest[region, signal]) / timedelta(seconds=1)
