"""The change that explain expects of a forecast is the one that decide makes where the forecast comes true."""

from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from carbonshift.common.events import (
    CarbonBasis,
    GridForecast,
    GridTick,
    PriceMarket,
    Quality,
    Quantiles,
)
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.settings import DecideSettings
from carbonshift.explain.expected import expected_change

START = datetime(2026, 3, 4, tzinfo=UTC)
STEP = timedelta(minutes=5)
WARM_UP = 24

signals = st.tuples(st.floats(-50, 250, width=32), st.floats(0, 900, width=32))
"""Price and carbon, beyond their hard limits now and then."""
grids = st.lists(signals, min_size=WARM_UP + 1, max_size=WARM_UP + 12)
outlooks = st.lists(signals, min_size=1, max_size=24)


def tick(number, price, carbon):
    start = START + number * STEP
    return GridTick(
        region="caiso",
        interval_start=start,
        interval_seconds=300,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=carbon,
        carbon_basis=CarbonBasis.AVERAGE,
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="test",
        carbon_source="test",
        observed_at=start,
    )


def forecast(origin, outlook):
    prices, carbon = (Quantiles(p10=side, p50=side, p90=side) for side in map(tuple, zip(*outlook, strict=True)))
    return GridForecast(
        region="caiso",
        origin=origin,
        step_seconds=300,
        price_usd_per_mwh=prices,
        carbon_g_per_kwh=carbon,
        carbon_basis=CarbonBasis.AVERAGE,
        spike_probability=(),
        spike_threshold_usd_per_mwh=150.0,
        price_models={},
        carbon_models={},
        skill={},
        degraded=False,
    )


@given(grid=grids, outlook=outlooks, dwell_seconds=st.sampled_from([0.0, 900.0, 3_600.0]))
def test_the_change_expected_is_the_one_decided(grid, outlook, dwell_seconds):
    """Among the trailing values of the transition, which is all that explain is told of them."""
    settings = DecideSettings(
        policy="eco-pulse", warm_up_seconds=WARM_UP * 300, dwell_seconds=dwell_seconds, critical_price_usd_per_mwh=200.0
    )
    policy, memory, last = EcoPulse(settings), RegionMemory(), None
    for number, (price, carbon) in enumerate(grid):
        memory, transition, state = step(memory, tick(number, price, carbon), policy, settings)
        last = (memory, transition, number) if transition else last
    assert last is not None
    memory, transition, number = last
    state = transition.state
    expected = expected_change(transition, forecast(state.interval_start + STEP, outlook))
    assume(
        expected is not None and expected.lack is None
    )  # while it warms up there is nothing to hold a forecast against
    decided = (
        (coming.interval_start, verdict.state, coming.price_usd_per_mwh)
        for coming in (tick(number + 1 + ahead, *values) for ahead, values in enumerate(outlook))
        if (verdict := policy.judge(memory.history, coming, state)).state is not state.state
    )
    change = expected.change
    assert (change and (change.p50, change.state, change.price_usd_per_mwh)) == next(decided, None)
