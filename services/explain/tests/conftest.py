"""Events for tests of explain."""

from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace

import pytest

from carbonshift.common.events import (
    CarbonBasis,
    EnergyBasis,
    EnergyShare,
    EnergyUse,
    GridForecast,
    GridState,
    GridTick,
    GridTransition,
    PriceMarket,
    Pulse,
    Quality,
    Quantiles,
    TransitionFacts,
    WorkerEvent,
    WorkerEventKind,
)

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
                epoch=int(now.timestamp()),
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


def _tick(start, **changes) -> GridTick:
    values = {
        "region": "caiso",
        "interval_start": start,
        "interval_seconds": 3_600,
        "price_usd_per_mwh": 31.0,
        "carbon_g_per_kwh": 268.0,
        "carbon_basis": CarbonBasis.AVERAGE,
        "price_quality": Quality.OBSERVED,
        "carbon_quality": Quality.OBSERVED,
        "price_market": PriceMarket.REAL_TIME,
        "price_source": "test",
        "carbon_source": "test",
        "observed_at": start,
    }
    return GridTick.model_validate(values | changes)


def _state(start, state=Pulse.GREEN, *reasons, **changes) -> GridState:
    values = {
        "region": "caiso",
        "interval_start": start,
        "interval_seconds": 3_600,
        "state": state,
        "since": start,
        "score": 0.5,
        "price_norm": 0.5,
        "carbon_norm": 0.5,
        "power_limit_w": 175.0,
        "power_fraction": 0.5,
        "run": state is not Pulse.RED,
        "epoch": int(NOW.timestamp()),
        "reasons": reasons,
        "valid_until": start + timedelta(hours=2),
        "policy": "eco-pulse",
    }
    return GridState.model_validate(values | changes)


def _transition(start, state, previous, **changes) -> GridTransition:
    return GridTransition(
        region="caiso",
        state=_state(start, state, **changes),
        previous=previous,
        previous_since=None,
        facts=TransitionFacts(
            price_usd_per_mwh=None,
            carbon_g_per_kwh=None,
            carbon_basis=CarbonBasis.AVERAGE,
            price_low_usd_per_mwh=None,
            price_high_usd_per_mwh=None,
            carbon_low_g_per_kwh=None,
            carbon_high_g_per_kwh=None,
            thresholds={},
            recent_interval_starts=(),
            recent_prices_usd_per_mwh=(),
            recent_carbon_g_per_kwh=(),
        ),
    )


def _use(start, energy_j, **changes) -> EnergyUse:
    values = {
        "worker": "w1",
        "site": "s1",
        "region": "caiso",
        "device_uuid": "GPU-1",
        "interval_start": start,
        "interval_seconds": 3_600,
        "revision": 0,
        "metered_seconds": 3_600.0,
        "energy_j": energy_j,
        "energy_basis": EnergyBasis.INTEGRATED,
        "error_j": None,
        "parked_j": 0.0,
        "shares": (EnergyShare(job="j1", energy_j=energy_j, parked_j=0.0),),
        "price_usd_per_mwh": None,
        "price_quality": Quality.MISSING,
        "cost_usd": None,
        "carbon_g_per_kwh": None,
        "carbon_basis": None,
        "carbon_quality": Quality.MISSING,
        "carbon_g": None,
    }
    return EnergyUse.model_validate(values | changes)


_numbers = count()


def _worker(at, event, **changes) -> WorkerEvent:
    values = {
        "worker": "w1",
        "site": "s1",
        "region": "caiso",
        "device_uuid": "GPU-1",
        "sequence": next(_numbers),
        "started_at": at,
        "observed_at": at,
        "event": WorkerEventKind(event),
        "detail": {},
    }
    return WorkerEvent.model_validate(values | changes)


def _forecast(origin, prices, carbon, spikes=(), **changes) -> GridForecast:
    values = {
        "region": "caiso",
        "origin": origin,
        "step_seconds": 3_600,
        "price_usd_per_mwh": Quantiles(
            p10=tuple(price - 5 for price in prices), p50=tuple(prices), p90=tuple(price + 5 for price in prices)
        ),
        "carbon_g_per_kwh": Quantiles(p10=tuple(carbon), p50=tuple(carbon), p90=tuple(carbon)),
        "carbon_basis": CarbonBasis.AVERAGE,
        "spike_probability": tuple(spikes),
        "spike_threshold_usd_per_mwh": 150.0,
        "price_models": {},
        "carbon_models": {},
        "skill": {},
        "degraded": False,
    }
    return GridForecast.model_validate(values | changes)


@pytest.fixture
def grid():
    """Makes the events of a region's day: `grid.tick(start, price_usd_per_mwh=31.0)`, an hour each."""
    return SimpleNamespace(
        tick=_tick, state=_state, transition=_transition, use=_use, worker=_worker, forecast=_forecast
    )
