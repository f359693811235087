"""Another forecast: believed while it comes nearer, signal by signal, and never when it is degraded or stale."""

from datetime import timedelta

import numpy as np
import pytest

from carbonshift.common.events import CarbonBasis, DayAheadPrices, GridForecast, PriceMarket
from carbonshift.decide.planning.outlook import Outlook
from carbonshift.decide.planning.seasonal import Clock

HOURS = 24 * 9


def price(hour):
    return 40.0 + 60.0 * np.sin(hour * 1.7) * (hour % 5)  # no day is like another


def carbon(hour):
    return 300.0 + 10.0 * np.sin(hour / 24 * 2 * np.pi)


def an_hour(tick, hour, **changes):
    return tick(12 * hour, price(hour), carbon(hour), interval_seconds=3_600, **changes)


def forecast(tick, hour, wrong=0.0, reach=4, wrong_far=0.0, **changes):
    """Of the `reach` hours after `hour`, `wrong` off in its p50 of both signals, `wrong_far` from the fifth hour on."""
    hours = [hour + 1 + ahead for ahead in range(reach)]
    off = np.where(np.arange(reach) < 4, wrong, wrong_far)
    middle, intensity = off + [price(at) for at in hours], off + [carbon(at) for at in hours]
    values = {
        "region": "caiso",
        "origin": tick(12 * (hour + 1)).interval_start,
        "step_seconds": 3_600,
        "price_usd_per_mwh": {"p10": [p - 5 for p in middle], "p50": [*middle], "p90": [p + 9 for p in middle]},
        "carbon_g_per_kwh": {"p10": [*intensity], "p50": [*intensity], "p90": [*intensity]},
        "carbon_basis": CarbonBasis.MARGINAL,
        "spike_probability": (0.0,) * reach,
        "spike_threshold_usd_per_mwh": 500.0,
        "price_models": {"somebody": 1.0},
        "carbon_models": {"somebody": 1.0},
        "skill": {},
        "degraded": False,
    }
    return GridForecast.model_validate(values | changes)


def followed(tick, hours=HOURS, wrong=0.0, **changes):
    outlook = Outlook(Clock(step_seconds=3_600))
    for hour in range(hours):
        outlook.hear(an_hour(tick, hour))
        outlook.hear_forecast(forecast(tick, hour, wrong, **changes))
    return outlook


def alone(tick, hours=HOURS):
    outlook = Outlook(Clock(step_seconds=3_600))
    for hour in range(hours):
        outlook.hear(an_hour(tick, hour))
    return outlook


def test_a_forecast_that_comes_nearer_is_believed_for_as_long_as_it_reaches(tick):
    ahead, without = followed(tick).ahead(), alone(tick).ahead()
    assert ahead.prices_usd_per_mwh[:4, 0] == pytest.approx([price(HOURS + n) for n in range(4)])
    assert ahead.prices_usd_per_mwh[4:].tolist() == without.prices_usd_per_mwh[4:].tolist()


@pytest.mark.parametrize(("wrong", "wrong_far", "believed"), [(0.0, 1e5, slice(0, 4)), (1e5, 0.0, slice(4, 24))])
def test_near_and_far_are_believed_apart(tick, wrong, wrong_far, believed):
    ahead = followed(tick, wrong=wrong, reach=24, wrong_far=wrong_far).ahead().prices_usd_per_mwh[:24, 0]
    without = alone(tick).ahead().prices_usd_per_mwh[:24, 0]
    told = np.array([price(HOURS + n) for n in range(24)])
    same = np.isclose(ahead, told)
    assert same[believed].all()
    rest = np.ones(24, dtype=bool)
    rest[believed] = False
    assert ahead[rest].tolist() == without[rest].tolist()


def test_of_the_far_hours_it_has_to_earn_trust_for_longer(tick):
    """Six comparisons, one begun every four hours, each of a day: forty-four hours after the first."""
    early = followed(tick, 24 + 20, reach=24).ahead().prices_usd_per_mwh[:24, 0]
    assert np.isclose(early[:4], [price(44 + n) for n in range(4)]).all()
    assert early[4:].tolist() == alone(tick, 44).ahead().prices_usd_per_mwh[4:24, 0].tolist()


@pytest.mark.parametrize(
    "changes", [{"wrong": 1e5}, {"degraded": True}, {"carbon_basis": CarbonBasis.AVERAGE}, {"step_seconds": 2_700}]
)
def test_one_that_is_worse_or_degraded_or_does_not_fit_changes_nothing(tick, changes):
    ahead, without = followed(tick, **changes).ahead(), alone(tick).ahead()
    assert ahead.prices_usd_per_mwh.tolist() == without.prices_usd_per_mwh.tolist()
    assert ahead.carbon_g_per_kwh.tolist() == without.carbon_g_per_kwh.tolist()


def test_it_has_to_earn_its_trust_for_a_day(tick):
    assert followed(tick, 20).ahead().prices_usd_per_mwh.tolist() == alone(tick, 20).ahead().prices_usd_per_mwh.tolist()


def test_a_signal_that_is_never_known_does_not_keep_the_other_from_being_believed(tick):
    outlook = Outlook(Clock(step_seconds=3_600))
    for hour in range(HOURS):
        values = (price(hour), carbon(hour) if hour < 2 else None)
        outlook.hear(tick(12 * hour, *values, interval_seconds=3_600))
        outlook.hear_forecast(forecast(tick, hour))
    assert outlook.ahead().prices_usd_per_mwh[0, 0] == pytest.approx(price(HOURS))


def test_what_was_believed_of_another_basis_is_not_believed_of_this_one(tick):
    outlook = followed(tick)
    outlook.hear(an_hour(tick, HOURS, carbon_basis=CarbonBasis.AVERAGE))
    told = [price(HOURS + 1 + n) for n in range(3)]
    assert not np.isclose(outlook.ahead().prices_usd_per_mwh[:3, 0], told).any()


def test_each_signal_is_believed_for_itself(tick):
    """Thirty off is much for a carbon intensity that hardly moves, and little for a price that nobody expects."""
    ahead, without = followed(tick, wrong=30.0).ahead(), alone(tick).ahead()
    assert ahead.prices_usd_per_mwh[0, 0] == pytest.approx(price(HOURS) + 30.0)
    assert ahead.carbon_g_per_kwh.tolist() == without.carbon_g_per_kwh.tolist()


def test_what_is_older_than_an_hour_is_no_longer_believed(tick):
    outlook, without = followed(tick), alone(tick, HOURS + 3)
    for hour in range(HOURS, HOURS + 3):
        outlook.hear(an_hour(tick, hour))
    assert outlook.ahead().prices_usd_per_mwh.tolist() == without.ahead().prices_usd_per_mwh.tolist()


def test_within_the_hour_its_quantiles_are_the_nodes(tick):
    """Steps of 5 minutes have stages of an hour; nodes below the middle come from p10, those above from p90."""
    outlook = Outlook(Clock(step_seconds=300))
    start = tick(0).interval_start
    for number in range(12 * 24 * 3):
        hour = number // 12
        outlook.hear(tick(number, price(hour), carbon(hour)))
        if number % 12 == 11:
            outlook.hear_forecast(forecast(tick, hour, origin=start + timedelta(hours=hour + 1)))
    nodes = outlook.ahead().prices_usd_per_mwh[0] - price(72)
    assert nodes[2] == pytest.approx(0.0)
    assert (np.diff(nodes) > 0).all()
    assert nodes[3] / nodes[1] == pytest.approx(-9 / 5)


def test_what_is_published_stays_and_what_lies_beyond_it_is_believed_in_its_own_hours(tick):
    outlook = Outlook(Clock(step_seconds=3_600))
    for hour in range(HOURS):
        outlook.hear(an_hour(tick, hour, price_market=PriceMarket.DAY_AHEAD))
        next_hours = DayAheadPrices(
            region="caiso",
            published_at=tick(12 * hour).interval_start,
            step_seconds=3_600,
            first_interval_start=tick(12 * (hour + 1)).interval_start,
            prices_usd_per_mwh=(price(hour + 1), price(hour + 2)),
        )
        outlook.hear_published(next_hours)
        outlook.hear_forecast(forecast(tick, hour))
    assert outlook.ahead().prices_usd_per_mwh[:4, 0] == pytest.approx([price(HOURS + n) for n in range(4)])
