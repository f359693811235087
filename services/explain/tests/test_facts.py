"""The fact sheet: what is known, rounded as it is shown, by the clock of the region."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonshift.common.events import Fuel, Pulse, Replay
from carbonshift.explain.expected import Change, Expected
from carbonshift.explain.facts import FleetFacts, Next, Surroundings, fact_sheet
from carbonshift.explain.fleet import FleetAnswer
from carbonshift.explain.fuel_shift import FuelShift

NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOS_ANGELES, BERLIN = ZoneInfo("America/Los_Angeles"), ZoneInfo("Europe/Berlin")


def bounded(transition, price_high=100.0):
    """With trailing quantiles from 0 to 100 USD/MWh and to 500 g/kWh."""
    bands = {
        "price_low_usd_per_mwh": 0.0,
        "price_high_usd_per_mwh": price_high,
        "carbon_low_g_per_kwh": 0.0,
        "carbon_high_g_per_kwh": 500.0,
    }
    return transition.model_copy(update={"facts": transition.facts.model_copy(update=bands)})


def coming(p50, p10=None, p90=None, price=88.2, horizon=24 * HOUR):
    change = Change(state=Pulse.AMBER, p50=p50, p10=p10, p90=p90, price_usd_per_mwh=price)
    return Surroundings(expected=Expected(horizon=horizon, change=change))


def test_the_score_before_is_of_the_last_interval_between_the_same_quantiles(transition):
    told = bounded(transition(Pulse.RED, "score_high", prices=(90, 20, 80), carbon=(500, 200, 400), score=0.8))
    assert fact_sheet(told).score_before == 0.3  # half of 20/100 and half of 200/500


def test_a_score_before_is_clamped_and_rounded_as_a_score_is(transition):
    told = bounded(transition(Pulse.RED, prices=(1e4, 80), carbon=(1e4, 400)))
    assert fact_sheet(told).score_before == 1.0
    told = bounded(transition(Pulse.RED, prices=(33.333, 80), carbon=(0, 400)))
    assert fact_sheet(told).score_before == 0.17


@pytest.mark.parametrize(
    "given",
    [
        {"prices": (80.0,), "carbon": (400.0,)},
        {"prices": (20.0, None, 80.0), "carbon": (200.0, 200.0, 400.0)},
        {"prices": (20.0, 80.0), "carbon": (None, 400.0)},
        {"prices": (20.0, 80.0), "carbon": (200.0, 400.0), "thresholds": {"alpha": 0.5}},
        {"prices": (20.0, 80.0), "carbon": (200.0, 400.0), "score": None},
    ],
    ids=["no past", "no price", "no carbon", "no weights", "no score"],
)
def test_without_all_that_makes_it_there_is_no_score_before(transition, given):
    assert fact_sheet(bounded(transition(Pulse.RED, **given))).score_before is None


def test_without_trailing_quantiles_there_is_no_score_before(transition):
    two = {"prices": (20.0, 80.0), "carbon": (200.0, 400.0)}
    assert fact_sheet(transition(Pulse.RED, **two)).score_before is None
    assert fact_sheet(bounded(transition(Pulse.RED, **two), price_high=0.0)).score_before is None


def test_what_is_to_come_is_told_by_the_clock_on_which_the_change_is(transition):
    around = coming(NOW + 2 * HOUR, NOW + HOUR, NOW + 40 * HOUR)
    assert fact_sheet(transition(Pulse.RED), around).next == Next(
        horizon="24 h", state=Pulse.AMBER, p50="20:05", p10="19:05", p90="10:05 on 2026-03-06", price_usd_per_mwh=88.0
    )
    local = fact_sheet(transition(Pulse.RED), around, LOS_ANGELES).next
    assert (local.p50, local.p10, local.p90) == ("12:05", "11:05", "02:05 on 2026-03-06")


@pytest.mark.parametrize(
    ("hours", "zone", "said"),
    [
        (5, ZoneInfo("UTC"), "23:05"),
        (6, ZoneInfo("UTC"), "00:05 tomorrow"),
        (29, ZoneInfo("UTC"), "23:05 tomorrow"),
        (30, ZoneInfo("UTC"), "00:05 on 2026-03-06"),
        (6, LOS_ANGELES, "16:05"),
        (14, LOS_ANGELES, "00:05 tomorrow"),
        (5, BERLIN, "00:05 tomorrow"),
    ],
)
def test_tomorrow_is_the_next_day_on_that_clock(transition, hours, zone, said):
    assert fact_sheet(transition(Pulse.RED), coming(NOW + hours * HOUR), zone).next.p50 == said


def test_what_is_not_within_the_horizon_is_not_told(transition):
    told = fact_sheet(transition(Pulse.RED), coming(NOW + HOUR)).next
    assert (told.p10, told.p90) == (None, None)
    calm = Surroundings(expected=Expected(horizon=timedelta(hours=23, minutes=59), change=None))
    assert fact_sheet(transition(Pulse.RED), calm).next == Next(horizon="23 h", state=None)
    assert fact_sheet(transition(Pulse.RED)).next is None


def test_the_price_to_come_is_rounded_as_a_price_is(transition):
    assert fact_sheet(transition(Pulse.RED), coming(NOW + HOUR, price=4.567)).next.price_usd_per_mwh == 4.57
    assert fact_sheet(transition(Pulse.RED), coming(NOW + HOUR, price=-88.6)).next.price_usd_per_mwh == -89.0


@pytest.mark.parametrize(
    ("moment", "zone", "clock", "since", "date"),
    [
        (NOW, ZoneInfo("UTC"), "UTC", "18:05", "2026-03-04"),
        (NOW, LOS_ANGELES, "PST", "10:05", "2026-03-04"),
        (datetime(2026, 3, 8, 9, 55, tzinfo=UTC), LOS_ANGELES, "PST", "01:55", "2026-03-08"),
        (datetime(2026, 3, 8, 10, 0, tzinfo=UTC), LOS_ANGELES, "PDT", "03:00", "2026-03-08"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), BERLIN, "CEST", "02:30", "2026-10-25"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN, "CET", "02:30", "2026-10-25"),
        (datetime(2026, 3, 4, 23, 30, tzinfo=UTC), BERLIN, "CET", "00:30", "2026-03-05"),
    ],
)
def test_the_clock_has_the_name_that_it_has_on_that_day(transition, moment, zone, clock, since, date):
    """The hour that comes twice is told apart by it."""
    sheet = fact_sheet(transition(Pulse.RED, now=moment), zone=zone)
    assert (sheet.zone, sheet.since, sheet.date) == (clock, since, date)


def test_on_the_day_the_clocks_change_tomorrow_is_still_tomorrow(transition):
    """24 hours after 23:30 of the short day it is 00:30 of the day after the next."""
    eve = datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # 23:30 PST of the 7th
    told = fact_sheet(transition(Pulse.RED, now=eve), coming(eve + 24 * HOUR, eve + 23 * HOUR, eve + HOUR), LOS_ANGELES)
    assert (told.next.p50, told.next.p10, told.next.p90) == (
        "00:30 PDT on 2026-03-09",
        "23:30 PDT tomorrow",
        "00:30 tomorrow",
    )


def test_a_duration_over_the_changing_clock_is_the_time_that_has_passed(transition):
    morning = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
    sheet = fact_sheet(transition(Pulse.RED, now=morning, lasted=timedelta(hours=4)), zone=LOS_ANGELES)
    assert (sheet.previous_lasted, sheet.since) == ("4 h", "05:00")


def answered(before_w, now_w, tokens_w=0.0):
    answer = FleetAnswer(
        before_w=before_w, now_w=now_w, basis="measured", paused=2, resumed=1, tokens=3, tokens_w=tokens_w
    )
    return Surroundings(fleet=answer)


def test_the_fleet_is_told_in_whole_watts_whose_difference_is_the_one_shown(transition):
    assert fact_sheet(transition(Pulse.RED), answered(999.6, 485.5, 149.7)).fleet == FleetFacts(
        before_w=1_000, now_w=486, change_w=514, basis="measured", paused=2, resumed=1, tokens=3, tokens_w=150
    )


watts = st.floats(0, 1e7)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it makes the same each time
@given(before_w=watts, now_w=watts)
def test_whatever_the_watts_what_is_shown_adds_up(transition, before_w, now_w):
    told = fact_sheet(transition(Pulse.RED), answered(before_w, now_w)).fleet
    assert told.change_w == abs(told.now_w - told.before_w)
    assert {type(value) for value in (told.before_w, told.now_w, told.change_w)} == {float}
    assert all(value == int(value) for value in (told.before_w, told.now_w, told.change_w))
    assert abs(told.before_w - before_w) <= 0.5


@pytest.mark.parametrize(("changes", "told"), [(1, None), (2, None), (3, 3), (12, 12)])
def test_changes_are_counted_from_the_third_within_the_hour_on(transition, changes, told):
    sheet = fact_sheet(transition(Pulse.RED), Surroundings(changes_last_hour=changes))
    assert sheet.changes_last_hour == sheet.facts()["changes_last_hour"] == told


def test_every_figure_of_the_sheet_is_a_fact_by_its_name(transition):
    around = Surroundings(
        expected=coming(NOW + 2 * HOUR, NOW + HOUR).expected,
        fleet=answered(1_000, 486).fleet,
        fuels=(FuelShift(fuel=Fuel.PUMPED_HYDRO, before_percent=45, now_percent=20, within=HOUR),),
        changes_last_hour=4,
    )
    told = bounded(
        transition(Pulse.RED, "price_critical", "dwell", prices=(20, 412), carbon=(200, 400), replay=Replay(run="r1"))
    )
    facts = fact_sheet(told, around).facts()
    assert (
        facts.items()
        >= {
            "price_usd_per_mwh": 412.0,
            "price_before_usd_per_mwh": 20.0,
            "price_moved_within": "5 minutes",
            "critical_price_usd_per_mwh": 150.0,
            "dwell": "15 minutes",
            "score_before": 0.3,
            "replay": "r1",
            "expected": "AMBER",
            "expected_at_p50": "20:05",
            "expected_at_p10": "19:05",
            "expected_at_p90": None,
            "price_then_usd_per_mwh": 88.0,
            "fleet_change_w": 514.0,
            "jobs_paused": 2.0,
            "pumped_hydro_before_percent": 45.0,
            "pumped_hydro_percent": 20.0,
            "pumped_hydro_moved_within": "60 minutes",
            "changes_last_hour": 4,
        }.items()
    )
