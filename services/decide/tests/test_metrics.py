"""What Prometheus is told of decisions."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from carbonshift.common.events import GridState, Pulse, Replay, ResumeToken
from carbonshift.decide.metrics import DecideMetrics

NOW = timedelta(minutes=7)
"""After the end of the first tick."""


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry, tick):
    return DecideMetrics(registry, clock=lambda: tick(0).interval_end + NOW)


def state_of(tick, pulse=Pulse.GREEN, score=0.25):
    return GridState(
        region=tick.region,
        interval_start=tick.interval_start,
        interval_seconds=tick.interval_seconds,
        state=pulse,
        since=tick.interval_start,
        score=score,
        price_norm=score,
        carbon_norm=score,
        power_limit_w=250.0,
        power_fraction=1.0,
        run=True,
        epoch=0,
        reasons=("score_low",),
        valid_until=tick.interval_end,
        policy="eco-pulse",
        replay=tick.replay,
    )


def read(registry, name, **labels):
    labels = {"region": "caiso", "clock": "wall"} | labels
    return registry.get_sample_value(f"carbonshift_decide_{name}", {k: v for k, v in labels.items() if v})


def test_the_newest_decision_of_a_region_is_told_and_what_is_not_known_has_no_series(metrics, registry, tick):
    metrics.note(state_of(tick(0)))
    metrics.decided(tick(0))
    assert read(registry, "score") == 0.25
    assert [read(registry, "state", state=state) for state in Pulse] == [1, 0, 0, 0]
    assert read(registry, "price_usd_per_mwh") == 30.0
    assert read(registry, "carbon_g_per_kwh", basis="marginal") == 300.0
    assert read(registry, "tick_lag_seconds", clock=None) == NOW.total_seconds()
    metrics.note(state_of(tick(1), Pulse.UNKNOWN, score=None))
    metrics.decided(tick(1, None, None))
    assert [read(registry, "state", state=state) for state in Pulse] == [0, 0, 0, 1]
    assert read(registry, "score") is None
    assert read(registry, "price_usd_per_mwh") is None
    assert read(registry, "tick_lag_seconds", clock=None) == (NOW - timedelta(minutes=5)).total_seconds()
    assert read(registry, "ticks_total") == 2


def test_a_correction_of_the_past_changes_nothing_and_a_replay_stands_apart(metrics, registry, tick):
    metrics.decided(tick(3))
    metrics.decided(tick(1, 99.0, revision=1))
    assert read(registry, "price_usd_per_mwh") == 30.0
    for number, run in ((9, "a"), (2, "b")):  # another run begins earlier
        metrics.decided(tick(number, 10.0 + number, replay=Replay(run=run)))
    assert read(registry, "price_usd_per_mwh", clock="replay") == 12.0
    assert read(registry, "price_usd_per_mwh") == 30.0
    assert read(registry, "tick_lag_seconds", clock=None) == (NOW - timedelta(minutes=15)).total_seconds()


def test_regions_beyond_the_bound_share_a_series(metrics, registry, tick):
    for number in range(70):
        metrics.note(state_of(tick(0, region=f"region-{number}")))
    assert read(registry, "ticks_total", region="region-63") == 1
    assert read(registry, "ticks_total", region="other") == 6


def test_tokens_are_counted_by_site(metrics, registry, tick):
    token = ResumeToken(
        site="lab",
        slot=0,
        watts=50.0,
        not_before=tick(0).interval_start,
        expires_at=tick(0).interval_end,
        epoch=0,
    )
    metrics.note(token)
    metrics.note(token)
    assert registry.get_sample_value("carbonshift_decide_tokens_total", {"site": "lab", "clock": "wall"}) == 2
