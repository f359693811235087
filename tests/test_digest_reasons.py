"""Whether a digest has words for whatever reason a state may have."""

from datetime import UTC, datetime, timedelta
from random import Random

from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, GridTick, Issue, PriceMarket, Quality
from carbonshift.common.plugins import load_plugin, plugin_names
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.settings import DecideSettings
from carbonshift.explain.digest.english import REASONS

START = datetime(2026, 1, 1, tzinfo=UTC)
GROUP = "carbonshift.policies"
SETTINGS = DecideSettings(warm_up_seconds=3_000, window_seconds=12_000, critical_carbon_g_per_kwh=790)


def ticks(count):
    """Values that wander, stand still, lack, are held, and go past every limit."""
    chance = Random(7)
    for number in range(count):
        start = START + timedelta(minutes=5 * number)
        still = number % 500 >= 430
        lacks = chance.random() < 0.02
        yield GridTick(
            region="caiso",
            interval_start=start,
            interval_seconds=300,
            price_usd_per_mwh=None if lacks else 30.0 if still else chance.uniform(0, 100) + 400 * (number % 97 == 0),
            carbon_g_per_kwh=None if lacks else 300.0 if still else chance.uniform(100, 800),
            carbon_basis=CarbonBasis.AVERAGE,
            price_quality=Quality.HELD if chance.random() < 0.2 else Quality.OBSERVED,
            carbon_quality=Quality.OBSERVED,
            price_market=PriceMarket.REAL_TIME,
            price_source="test",
            carbon_source="test",
            observed_at=start,
            issues=tuple(Issue) if number % 61 == 0 else (),
        )


def reasons_of(policy):
    memory, reasons = RegionMemory(), set()
    for tick in ticks(2_000):
        memory, _, state = step(memory, tick, policy, SETTINGS)
        reasons |= set(state.reasons)
    return reasons


def test_every_reason_of_every_policy_has_words_in_a_digest():
    reasons = set(Issue)
    for name in plugin_names(GROUP):
        try:
            policy = load_plugin(GROUP, name)(SETTINGS)
        except InputError:  # the oracle judges nothing
            continue
        reasons |= reasons_of(policy)
    assert reasons - set(REASONS) == set()
    assert set(REASONS) - reasons == {"other"}
