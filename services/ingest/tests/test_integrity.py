"""Integrity: what is broken is found, and what is only rare is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import CarbonBasis, Issue, PriceMarket
from carbonshift.ingest.cleaning.integrity import Pair, inspect

DAY = 288


def wavy(count, level, seed=0):
    """A day that goes up and down, no two values alike."""
    noise = np.random.default_rng(seed).normal(0, 0.02, count)
    return level * (1.0 + 0.4 * np.sin(np.arange(count) * 2 * np.pi / DAY) + noise)


def pair(price, carbon, **changes):
    kinds = {
        "interval_seconds": 300,
        "price_seconds": 300,
        "carbon_seconds": 300,
        "price_market": PriceMarket.REAL_TIME,
        "carbon_basis": CarbonBasis.MARGINAL,
    }
    return Pair(price=np.array(price, float), carbon=np.array(carbon, float), **kinds | changes)


def found(pair, **changes):
    return {
        issue: np.flatnonzero(where).tolist() for issue, where in inspect(pair, **changes).found.items() if where.any()
    }


def test_an_ordinary_week_raises_nothing():
    assert found(pair(wavy(7 * DAY, 40.0), wavy(7 * DAY, 300.0, 1))) == {}


def test_an_outage_that_answers_zero_is_found_at_its_first_value_and_until_its_last():
    price, carbon = wavy(3 * DAY, 40.0), wavy(3 * DAY, 300.0, 1)
    carbon[DAY : DAY + 120] = 0.0
    assert found(pair(price, carbon))[Issue.CARBON_ZERO] == list(range(DAY, DAY + 120))


def test_a_zero_at_a_negative_price_is_true_for_twelve_hours_and_not_for_ever():
    price, carbon = wavy(3 * DAY, 40.0), wavy(3 * DAY, 300.0, 1)
    price[DAY : DAY + 147] = np.linspace(-1.0, -15.0, 147)
    carbon[DAY : DAY + 147] = 0.0
    assert found(pair(price, carbon)) == {}
    price[DAY : DAY + 200] = np.linspace(-1.0, -15.0, 200)
    carbon[DAY : DAY + 200] = 0.0
    assert found(pair(price, carbon))[Issue.CARBON_ZERO] == list(range(DAY + 156, DAY + 200))


def test_no_price_explains_a_whole_grid_without_carbon():
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    price[400:410], carbon[400:410] = np.linspace(-1.0, -15.0, 10), 0.0
    assert Issue.CARBON_ZERO in found(pair(price, carbon, carbon_basis=CarbonBasis.AVERAGE))
    assert found(pair(price, carbon / 100, carbon_basis=CarbonBasis.AVERAGE)) == {}  # but one of water alone may be


def test_a_zero_without_a_price_beside_it_is_not_believed():
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    price[300:310], carbon[300:310] = np.nan, 0.0
    assert found(pair(price, carbon))[Issue.CARBON_ZERO] == list(range(300, 310))


def test_a_price_of_exactly_zero_needs_clean_power():
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    price[400], carbon[400] = 0.0, 500.0
    price[408:411], carbon[410] = (8.0, 4.0, 0.0), 50.0
    assert found(pair(price, carbon))[Issue.PRICE_ZERO] == [400]


def test_carbon_that_stands_still_while_the_price_moves_is_found_soon():
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    carbon[400:420] = carbon[400]
    assert found(pair(price, carbon))[Issue.CARBON_FLAT] == list(range(403, 420))


def test_both_standing_still_is_found_later():
    """A real market stood for 56 intervals: whether it or its feed, nobody can tell, so it is not acted on."""
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    price[300:356], carbon[300:356] = 36.5, 320.0
    assert found(pair(price, carbon)) == {
        Issue.PRICE_FLAT: list(range(305, 356)),
        Issue.CARBON_FLAT: list(range(305, 356)),
    }


def test_holes_do_not_hide_a_frozen_feed():
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    carbon[400:440] = carbon[400]
    carbon[400:440:3] = np.nan
    assert found(pair(price, carbon))[Issue.CARBON_FLAT][0] < 412


def test_an_hourly_price_held_over_five_minute_ticks_does_not_stand_still():
    price = np.repeat(wavy(7 * 24, 40.0), 12)
    kinds = {"price_seconds": 3_600, "price_market": PriceMarket.DAY_AHEAD}
    assert found(pair(price, wavy(7 * DAY, 300.0, 1), **kinds)) == {}
    price[12 * 50 : 12 * 54] = 41.5  # four equal hours happened
    assert found(pair(price, wavy(7 * DAY, 300.0, 1), **kinds)) == {}


def test_the_dirtiest_and_the_dearest_value_may_be_rested_at_for_hours():
    price, carbon = wavy(3 * DAY, 40.0), wavy(3 * DAY, 300.0, 1)
    price[400:500], carbon[400:500] = 8_900.0, 660.0
    assert found(pair(price, carbon)) == {}


def test_scarcity_is_kept():
    price, carbon = wavy(3 * DAY, 40.0), wavy(3 * DAY, 300.0, 1)
    price[500:530] = np.linspace(900.0, 8_900.0, 30)
    carbon[500:530] = np.linspace(500.0, 660.0, 30)
    assert found(pair(price, carbon)) == {}


@pytest.mark.parametrize("factor", [1_000.0, 0.001, 100.0, 0.01, 453.59, 1 / 453.59])
@pytest.mark.parametrize("signal", ["price", "carbon"])
def test_a_change_of_unit_is_found_at_once_and_until_it_is_undone(signal, factor):
    signals = {"price": wavy(4 * DAY, 15.0), "carbon": wavy(4 * DAY, 2.0, 1)}
    signals[signal][2 * DAY : 3 * DAY] *= factor
    issue = Issue(f"{signal}_unit_jump")
    assert found(pair(**signals))[issue] == list(range(2 * DAY, 3 * DAY))


def test_a_unit_jump_is_not_taken_for_the_new_level_however_long_it_lasts():
    price = wavy(30 * DAY, 40.0)
    price[2 * DAY :] /= 1_000
    findings = inspect(pair(price, wavy(30 * DAY, 300.0, 1)))
    assert findings.found[Issue.PRICE_UNIT_JUMP][2 * DAY :].all()
    assert findings.price_latch is not None
    rest = pair(price[28 * DAY :], wavy(2 * DAY, 300.0, 1))
    assert inspect(rest, DAY, findings.price_latch).found[Issue.PRICE_UNIT_JUMP][DAY:].all()


@pytest.mark.parametrize("factor", [1 / 1_000, 1 / 453.59])
def test_two_units_that_change_together_are_found(factor):
    price, carbon = wavy(3 * DAY, 40.0), wavy(3 * DAY, 300.0, 1)
    price[500:600] *= factor
    carbon[500:600] *= factor
    assert found(pair(price, carbon))[Issue.PRICE_UNIT_JUMP] == list(range(500, 600))
    assert found(pair(price, carbon, carbon_basis=CarbonBasis.AVERAGE))[Issue.CARBON_UNIT_JUMP] == list(range(500, 600))


def test_a_price_near_zero_excuses_no_average_carbon():
    price, carbon = wavy(3 * DAY, 40.0), wavy(3 * DAY, 300.0, 1)
    price[499], price[500:510] = 0.02, np.linspace(-7.0, -3.0, 10)
    carbon[500:510] /= 1_000
    kinds = {"carbon_basis": CarbonBasis.AVERAGE, "price_market": PriceMarket.DAY_AHEAD}
    assert found(pair(price, carbon, **kinds))[Issue.CARBON_UNIT_JUMP] == list(range(500, 510))


def test_a_price_of_zero_that_comes_from_afar_is_doubted():
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    carbon[400:412] = 250.0 - np.arange(12)
    price[400:412] = 0.0
    assert found(pair(price, carbon))[Issue.PRICE_ZERO] == list(range(400, 412))
    price[400:406] = (20.0, 12.0, 7.0, 4.0, 2.0, 1.0)
    assert Issue.PRICE_ZERO not in found(pair(price, carbon))


def test_a_price_that_really_falls_to_nothing_takes_the_carbon_with_it():
    price, carbon = wavy(3 * DAY, 12.0), wavy(3 * DAY, 300.0, 1)
    price[500:520] = 0.0118 + np.arange(20) * 1e-4
    carbon[500:520] = 30.0 + np.arange(20) * 0.1
    assert Issue.PRICE_UNIT_JUMP not in found(pair(price, carbon))


@pytest.mark.parametrize(("price", "carbon", "issue"), [
    (1e5, 300.0, Issue.PRICE_OUT_OF_RANGE),
    (-6_000.0, 300.0, Issue.PRICE_OUT_OF_RANGE),
    (40.0, -1.0, Issue.CARBON_OUT_OF_RANGE),
    (40.0, 5_000.0, Issue.CARBON_OUT_OF_RANGE),
])  # fmt: skip
def test_what_cannot_be_is_out_of_range(price, carbon, issue):
    prices, carbons = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    prices[400], carbons[400] = price, carbon
    assert found(pair(prices, carbons))[issue] == [400]


def test_a_second_provider_that_says_something_else_altogether_is_heard():
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    witness = carbon * 1.2
    witness[100:110] = carbon[100:110] + 700.0
    witness[200] = np.nan
    assert found(pair(price, carbon, carbon_witness=witness)) == {Issue.CARBON_DISPUTED: list(range(100, 110))}


def test_the_dearest_moment_of_the_day_is_not_its_cleanest():
    price, carbon = wavy(2 * DAY, 40.0), wavy(2 * DAY, 300.0, 1)
    price[400], carbon[400] = 500.0, 20.0
    assert found(pair(price, carbon)) == {Issue.SIGNALS_DISAGREE: [400]}
    assert found(pair(price, carbon, carbon_basis=CarbonBasis.AVERAGE)) == {}


@given(cut=st.integers(DAY + 1, 3 * DAY), seed=st.integers(0, 5))
def test_what_comes_after_changes_nothing_that_was_found(cut, seed):
    """Live, only the past is known: a replay has to find the very same."""
    random = np.random.default_rng(seed)
    price, carbon = wavy(3 * DAY, 40.0, seed), wavy(3 * DAY, 300.0, seed + 1)
    for _ in range(12):
        at, length = random.integers(0, 3 * DAY - 40), random.integers(1, 40)
        spoil = random.choice(["zero", "freeze", "jump", "hole"])
        part = slice(at, at + length)
        if spoil == "zero":
            carbon[part] = 0.0
        elif spoil == "freeze":
            price[part] = price[at]
        elif spoil == "jump":
            price[part] /= 1_000
        else:
            carbon[part] = np.nan
    whole, part = inspect(pair(price, carbon)), inspect(pair(price[:cut], carbon[:cut]))
    for issue, where in part.found.items():
        np.testing.assert_array_equal(whole.found[issue][:cut], where)
