"""Transitions for tests of explain."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.events import CarbonBasis, GridState, GridTransition, Pulse, TransitionFacts

NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
THRESHOLDS = {
    "critical_price_usd_per_mwh": 150.0,
    "critical_carbon_g_per_kwh": 800.0,
    "green_score": 0.35,
    "red_score": 0.8,
    "hysteresis_score": 0.05,
    "dwell_seconds": 900.0,
    "alpha": 0.5,
    "beta": 0.5,
    "optimal_price_usd_per_mwh": 40.0,
    "optimal_carbon_g_per_kwh": 250.0,
}


@pytest.fixture
def transition():
    """Makes a change of state: `transition(Pulse.RED, "price_critical", prices=(31, 31, 412))`, five minutes apart."""

    def make(
        state,
        *reasons,
        prices=(31.0,),
        carbon=(268.0,),
        previous=Pulse.GREEN,
        lasted=timedelta(hours=3, minutes=20),
        run=None,
        watts=175.0,
        score=0.6,
        thresholds=THRESHOLDS,
        now=NOW,
        replay=None,
    ) -> GridTransition:
        size = max(len(prices), len(carbon))
        return GridTransition(
            region="caiso",
            state=GridState(
                region="caiso",
                interval_start=now,
                interval_seconds=300,
                state=state,
                since=now,
                score=score,
                price_norm=score,
                carbon_norm=score,
                power_limit_w=watts,
                power_fraction=0.5,
                run=state is not Pulse.RED if run is None else run,
                epoch=0,
                reasons=reasons,
                valid_until=now + timedelta(minutes=15),
                policy="eco-pulse",
                replay=replay,
            ),
            previous=previous,
            previous_since=now - lasted if previous and lasted is not None else None,
            facts=TransitionFacts(
                price_usd_per_mwh=prices[-1],
                carbon_g_per_kwh=carbon[-1],
                carbon_basis=CarbonBasis.AVERAGE,
                price_low_usd_per_mwh=None,
                price_high_usd_per_mwh=None,
                carbon_low_g_per_kwh=None,
                carbon_high_g_per_kwh=None,
                thresholds=thresholds,
                recent_interval_starts=tuple(now - timedelta(minutes=5 * n) for n in reversed(range(size))),
                recent_prices_usd_per_mwh=(None,) * (size - len(prices)) + tuple(prices),
                recent_carbon_g_per_kwh=(None,) * (size - len(carbon)) + tuple(carbon),
            ),
        )

    return make
