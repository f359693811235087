"""What Prometheus sees of a proposer."""

from collections import Counter

from prometheus_client import generate_latest

from carbonshift.forecast.proposer.counts import ProposerCounts
from carbonshift.forecast.proposer.metrics import ProposerMetrics
from carbonshift.forecast.proposer.reason import Reason


def test_the_counts_as_they_stand():
    counts = ProposerCounts(calls=3, used=2, from_journal=1)
    metrics = ProposerMetrics(counts)
    counts.usd += 0.25
    counts.dropped += Counter([Reason.CROSSED])
    told = generate_latest(metrics.registry).decode().splitlines()
    assert {line for line in told if not line.startswith("#")} == {
        "carbonshift_proposer_calls_total 3.0",
        "carbonshift_proposer_used_total 2.0",
        "carbonshift_proposer_from_journal_total 1.0",
        "carbonshift_proposer_dollars_total 0.25",
        'carbonshift_proposer_dropped_total{reason="crossed"} 1.0',
    }
