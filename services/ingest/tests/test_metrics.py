"""What Prometheus is told of the sources."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Quality, Replay
from carbonshift.ingest.metrics import IngestMetrics
from carbonshift.ingest.reading import Signal

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return IngestMetrics(registry, clock=lambda: NOON)


def tick(minutes_ago, price=Quality.OBSERVED, carbon=Quality.OBSERVED, **changes):
    """One that ended so long before noon."""
    values = {
        "region": "caiso",
        "interval_start": NOON - timedelta(minutes=minutes_ago + 5),
        "interval_seconds": 300,
        "price_usd_per_mwh": 30.0,
        "carbon_g_per_kwh": 300.0,
        "carbon_basis": CarbonBasis.MARGINAL,
        "price_quality": price,
        "carbon_quality": carbon,
        "price_market": PriceMarket.REAL_TIME,
        "price_source": "test",
        "carbon_source": "test",
        "observed_at": NOON,
    }
    return GridTick.model_validate(values | changes)


def test_a_signal_is_as_old_as_what_a_source_told_last_and_stand_ins_are_counted(metrics, registry):
    metrics.stored([tick(10), tick(5, carbon=Quality.HELD), tick(0, carbon=Quality.INTERPOLATED)])
    metrics.stored([tick(10, revision=1), tick(-5, replay=Replay(run="r"))])

    def age(signal):
        return registry.get_sample_value("carbonshift_ingest_signal_age_seconds", {"region": "caiso", "signal": signal})

    def values(quality):
        labels = {"region": "caiso", "signal": "carbon", "quality": quality}
        return registry.get_sample_value("carbonshift_ingest_values_total", labels)

    assert (age("price"), age("carbon")) == (0.0, 600.0)
    assert [values(quality) for quality in ("observed", "held", "interpolated")] == [2, 1, 1]
    assert registry.get_sample_value("carbonshift_ingest_events_total", {"kind": "tick"}) == 5


def test_a_failure_is_counted_for_its_source(metrics, registry):
    metrics.failed("watttime", Signal.CARBON)
    labels = {"source": "watttime", "signal": "carbon"}
    assert registry.get_sample_value("carbonshift_ingest_source_failures_total", labels) == 1
