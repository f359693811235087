"""The savings report: the same work in every row, and no percentage where there is none."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from carbonshift.cli.savings import compare
from carbonshift.common.accounting import Usage
from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Quality
from carbonshift.common.power_curve import RESNET18_V100 as CURVE

START = datetime(2026, 1, 1, tzinfo=UTC)


def tick(number, price):
    return GridTick(
        region="caiso",
        interval_start=START + timedelta(seconds=100 * number),
        interval_seconds=100,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=300.0,
        carbon_basis=CarbonBasis.AVERAGE,
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="test",
        carbon_source="test",
        observed_at=START,
    )


def usage(hours, price):
    return Usage.of(
        seconds=3_600 * hours,
        energy_j=142.4 * 3_600 * hours,
        work_seconds=3_600 * hours * 0.981,
        parked=False,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=300.0,
    )


def compared(price):
    ticks = [tick(n, price) for n in range(2_000)]
    usages = [usage(2, price), usage(3, price)]
    return compare(usages, CURVE, START, START + timedelta(hours=3), ticks, "modelled")


def test_every_row_does_the_same_work():
    savings = compared(50.0).as_json()
    hours = [savings[name]["work_hours"] for name in ("run", "run_now", "best_static_cap")]
    assert hours == pytest.approx([5 * 0.981] * 3)
    assert savings["saved_against"]["run_now"]["energy_share"] == pytest.approx(1 - 142.4 / 190.2 / 0.981)
    assert savings["basis"] == "modelled"


def test_a_share_of_a_negative_bill_is_not_given():
    savings = compared(-50.0).as_json()
    assert savings["run_now"]["cost_usd"] < 0
    assert savings["saved_against"]["run_now"]["total_share"] is None


def test_it_fits_a_terminal_of_eighty_columns():
    console = Console(width=80, record=True, file=None, no_color=True)
    with console.capture() as captured:
        console.print(compared(50.0).as_table())
    lines = captured.get().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert sum("static cap of" in line for line in lines) == 2  # its row and its comparison: no name is broken up
