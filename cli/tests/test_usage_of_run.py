"""A run's usage: every joule of the telemetry at the price of its interval, whatever the moments of the messages."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.cli.usage_of_run import usage_by_device
from carbonshift.common.events import (
    Account,
    CarbonBasis,
    EnergyBasis,
    GridTick,
    PriceMarket,
    Quality,
    RunState,
    WorkerTelemetry,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def tick(number, price):
    return GridTick(
        region="caiso",
        interval_start=START + timedelta(seconds=100 * number),
        interval_seconds=100,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=price,
        carbon_basis=CarbonBasis.AVERAGE,
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="test",
        carbon_source="test",
        observed_at=START,
    )


def telemetry(seconds, energy_j, state=RunState.RUNNING, since=START):
    return WorkerTelemetry(
        worker="w",
        site="s",
        region="caiso",
        device_uuid="d",
        observed_at=START + timedelta(seconds=seconds),
        power_w=100,
        power_limit_w=100,
        enforced_limit_w=100,
        allowance_w=100,
        ceiling_w=250,
        energy_j=energy_j,
        energy_basis=EnergyBasis.MODELLED,
        run_state=state,
        work_seconds=energy_j / 100,
        account=Account(since=since),
    )


PRICES = [10.0, 20.0, 40.0, 80.0]
TICKS = [tick(n, price) for n, price in enumerate(PRICES)]
STEADY_USD = sum(price * 100 * 100 / 3.6e9 for price in PRICES)  # 100 W through four intervals of 100 s


@given(moments=st.lists(st.floats(0, 400), max_size=20))
def test_when_the_messages_come_does_not_matter(moments):
    """A steady 100 W costs the same whether it is told often or seldom, within an interval or across several."""
    heard = [telemetry(second, 100 * second) for second in (0.0, *sorted(moments), 400.0)]
    (usage,) = usage_by_device(heard, TICKS).values()
    assert usage.energy_j == pytest.approx(40_000)
    assert usage.cost_usd == pytest.approx(STEADY_USD)
    assert usage.work_seconds == pytest.approx(400)
    assert usage.parked_energy_j == 0


def test_a_wait_is_counted_as_parked():
    heard = [telemetry(0, 0, RunState.PAUSED), telemetry(100, 4_300), telemetry(200, 14_300)]
    (usage,) = usage_by_device(heard, TICKS).values()
    assert (usage.energy_j, usage.parked_energy_j) == (14_300, 4_300)


def test_a_worker_that_began_anew_counts_from_nought():
    told = [(0, 0, 0), (100, 10_000, 0), (150, 2_000, 110), (200, 7_000, 110)]
    heard = [telemetry(at, energy_j, since=START + timedelta(seconds=began)) for at, energy_j, began in told]
    (usage,) = usage_by_device(heard, TICKS).values()
    assert usage.energy_j == 17_000


def test_an_account_that_a_kill_has_set_back_a_little_is_not_counted_twice():
    heard = [telemetry(at, energy_j, since=START) for at, energy_j in ((0, 0), (100, 10_000), (150, 9_900))]
    (usage,) = usage_by_device(heard, TICKS).values()
    assert usage.energy_j == 10_000
