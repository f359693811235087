"""What is told, and that nothing else is."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import (
    CarbonBasis,
    Fuel,
    GridState,
    GridTransition,
    Issue,
    Pulse,
    Replay,
    TransitionFacts,
)
from carbonshift.explain.expected import Change, Expected, Lack
from carbonshift.explain.facts import Surroundings, fact_sheet
from carbonshift.explain.figures import ungrounded
from carbonshift.explain.fleet import FleetAnswer
from carbonshift.explain.fuel_shift import FuelShift
from carbonshift.explain.languages import English
from carbonshift.explain.verification import violations

CODES = (
    "price_missing",
    "carbon_missing",
    "tick_flagged",
    "warming_up",
    "signal_flat",
    "price_critical",
    "carbon_critical",
    "score_high",
    "score_low",
    "score_middle",
    "price_above_optimal",
    "carbon_above_optimal",
    "hysteresis",
    "dwell",
    "signal_held",
    *Issue,
)
THRESHOLDS = (
    "critical_price_usd_per_mwh",
    "critical_carbon_g_per_kwh",
    "green_score",
    "red_score",
    "hysteresis_score",
    "dwell_seconds",
    "alpha",
    "optimal_price_usd_per_mwh",
    "optimal_carbon_g_per_kwh",
)


NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
BACK_AT_EIGHT = Expected(
    horizon=timedelta(hours=24),
    change=Change(
        state=Pulse.AMBER,
        p50=NOW + timedelta(minutes=115),
        p10=NOW + timedelta(minutes=85),
        p90=NOW + timedelta(hours=14),
        price_usd_per_mwh=88.2,
    ),
)
SHED = FleetAnswer(before_w=1_000, now_w=486.4, basis="modelled", paused=2, resumed=0, tokens=0, tokens_w=0)
STILL = FleetAnswer(before_w=486, now_w=486, basis="measured", paused=0, resumed=0, tokens=0, tokens_w=0)


def told(transition, **around):
    """What is told of it; it stands its own verification, whatever it is."""
    sheet = fact_sheet(transition, Surroundings(**around))
    text = English().narrate(sheet)
    assert ungrounded(text, sheet.facts()) == ()
    if {*sheet.reasons} <= {*CODES}:  # a code of another policy may be any word or figure
        assert violations(text, sheet) == ()
    return text


def test_a_price_spike_reads_like_this(transition):
    spike = transition(Pulse.RED, "price_critical", prices=(30, 31, 200, 412), watts=100)
    assert told(spike, expected=BACK_AT_EIGHT, fleet=SHED) == (
        "Training paused at 18:05 UTC (RED after 3 h 20 min of GREEN): price rose from $31 to $412/MWh in 10 minutes, "
        "above the $150 limit, while carbon was 268 g/kWh (average). The fleet's draw fell from 1,000 W to 486 W "
        "(modelled); 2 jobs paused. Expected back around 20:00 (p50; 19:30 at p10, 08:05 tomorrow at p90) at $88/MWh."
    )


@pytest.mark.parametrize("issue", Issue)
def test_every_doubt_has_its_words(transition, issue):
    text = told(transition(Pulse.UNKNOWN, "tick_flagged", issue))
    assert "reason " not in text
    assert issue not in text
    assert "flagged" not in text


def test_a_recovery_says_that_training_resumes(transition):
    calm = transition(Pulse.AMBER, "score_middle", prices=(412, 88), previous=Pulse.RED, score=0.55)
    assert told(calm) == (
        "Training resumed at 18:05 UTC (AMBER after 3 h 20 min of RED): price and carbon together score 0.55, GREEN up "
        "to 0.35, RED from 0.80, while price fell from $412 to $88/MWh in 5 minutes and carbon was 268 g/kWh "
        "(average). Training runs at up to 175 W on the reference board. There is no forecast of what comes next."
    )


def test_a_lost_signal_says_what_holds_and_where_to_look(transition):
    lost = transition(
        Pulse.UNKNOWN, "price_missing", "carbon_missing", prices=(31, None), carbon=(268, None), score=None
    )
    assert told(lost) == (
        "UNKNOWN at 18:05 UTC after 3 h 20 min of GREEN: the price is missing; the carbon intensity is missing. "
        "Training runs on at up to 175 W on the reference board, as before. This lasts until the signals can be "
        "trusted again. Check the price source. Check the carbon source."
    )


@pytest.mark.parametrize(
    ("ran", "state", "said"),
    [
        (True, Pulse.RED, "Training paused at 18:05"),
        (False, Pulse.RED, "Training stays paused."),
        (False, Pulse.GREEN, "Training resumed at 18:05"),
        (True, Pulse.GREEN, "Training runs on at up to"),
    ],
)
def test_whether_training_ran_through_unknown_is_told_as_it_was(transition, ran, state, said):
    changed = transition(state, previous=Pulse.UNKNOWN).model_copy(update={"previous_run": ran})
    assert said in told(changed)


def test_a_price_that_crosses_its_limit_has_moved_however_little(transition):
    text = told(transition(Pulse.RED, "price_critical", prices=(149.6, 150.2)))
    assert "price rose from $149.60 to $150.20/MWh in 5 minutes, above the $150 limit" in text


def test_what_is_not_believed_is_told_as_no_move(transition):
    text = told(transition(Pulse.UNKNOWN, "tick_flagged", "price_unit_jump", prices=(31, 41_200)))
    assert "41,200" not in text
    assert "carbon was 268" in text


@pytest.mark.parametrize(("lack", "said"), [(Lack.DEGRADED, "is degraded"), (Lack.OPEN, "is open")])
def test_why_a_forecast_does_not_tell_is_said(transition, lack, said):
    silent = Expected(horizon=timedelta(minutes=40), change=None, lack=lack)
    assert said in told(transition(Pulse.RED, "price_critical"), expected=silent)


def test_a_negative_price_keeps_its_sign(transition):
    cheap = transition(Pulse.GREEN, "score_low", prices=(4, -12.5), score=0.1, watts=250)
    assert "price fell from $4 to -$12.50/MWh in 5 minutes" in told(cheap)


def test_a_price_hair_above_its_limit_is_not_shown_as_equal(transition):
    assert "$150.40/MWh, above the $150 limit" in told(transition(Pulse.RED, "price_critical", prices=(150.4,)))
    assert "$150/MWh, at the $150 limit" in told(transition(Pulse.RED, "price_critical", prices=(150.0,)))


def test_two_reasons_of_one_signal_share_a_clause(transition):
    text = told(transition(Pulse.RED, "price_critical", "price_above_optimal", prices=(31, 412)))
    assert text.count("price rose") == 1
    assert "above the $150 limit, above the $40 that GREEN allows" in text


def test_the_weightiest_reason_comes_first(transition):
    text = told(transition(Pulse.RED, "carbon_critical", "price_critical", prices=(412,), carbon=(900,)))
    assert text.index("carbon was 900") < text.index("price was $412")


def test_a_reason_nobody_has_heard_of_is_shown_as_itself(transition):
    assert "reason moon_phase" in told(transition(Pulse.AMBER, "moon_phase"))


@pytest.mark.parametrize("code", CODES)
def test_every_reason_is_told_in_words(transition, code):
    text = told(transition(Pulse.AMBER, code))
    assert f"reason {code}" not in text
    assert text != told(transition(Pulse.AMBER))


@pytest.mark.parametrize("code", CODES)
def test_every_reason_is_told_without_its_threshold_too(transition, code):
    told(transition(Pulse.AMBER, code, thresholds={}, score=None))


@pytest.mark.parametrize(("previous", "state", "run"), tuple(product((None, *Pulse), Pulse, (True, False))))
def test_every_change_says_what_training_does(transition, previous, state, run):
    text = told(transition(state, previous=previous, run=run))
    assert f"{state} " in text
    assert f"{previous}" in text if previous else "the first state" in text
    assert bool(re.search(r"Training (may run|runs)", text)) is run
    assert bool(re.search(r"(Training|is|stays) paused", text)) is not run
    assert ("175 W" in text) is run


def test_what_a_fleet_has_not_done_is_not_said(transition):
    text = told(transition(Pulse.AMBER, "score_middle"), fleet=STILL)
    assert "The fleet still draws 486 W (measured)." in text
    assert "job" not in text
    assert "token" not in text


def test_tokens_are_counted_with_their_watts(transition):
    back = replace(SHED, before_w=486, now_w=1_000, paused=0, resumed=1, tokens=3, tokens_w=150)
    text = told(transition(Pulse.AMBER, "score_middle", previous=Pulse.RED), fleet=back)
    assert "rose from 486 W to 1,000 W (modelled); 1 job resumed; 3 tokens for 150 W handed out so far." in text


def test_fuels_that_moved_are_told_beside_the_reason(transition):
    shift = FuelShift(fuel=Fuel.SOLAR, before_percent=45, now_percent=20, within=timedelta(hours=1))
    text = told(transition(Pulse.RED, "carbon_critical", carbon=(268, 840)), fuels=(shift,))
    assert "Of the supply, solar fell from 45 % to 20 % in 60 minutes." in text


def test_a_state_that_flaps_is_said_to(transition):
    assert "has changed 4 times within the last hour" in told(transition(Pulse.AMBER), changes_last_hour=4)
    assert "times" not in told(transition(Pulse.AMBER), changes_last_hour=2)


def test_no_change_in_sight_is_said(transition):
    calm = Expected(horizon=timedelta(hours=23, minutes=55), change=None)
    assert "The forecast sees no change within 23 h (p50)." in told(transition(Pulse.GREEN), expected=calm)


def test_the_clock_is_that_of_the_region(transition):
    sheet = fact_sheet(transition(Pulse.RED), Surroundings(expected=BACK_AT_EIGHT), ZoneInfo("America/Los_Angeles"))
    text = English().narrate(sheet)
    assert "at 10:05 PST" in text
    assert "around 12:00 (p50; 11:30 at p10, 00:05 tomorrow at p90)" in text


moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
prices = st.none() | st.floats(-1e5, 1e5)
intensities = st.none() | st.floats(0, 2_000)


@st.composite
def transitions(draw):
    """Whatever the schema admits, likely or not."""
    now = draw(moments)
    size = draw(st.integers(0, 13))
    previous = draw(st.none() | st.sampled_from(Pulse))
    return GridTransition(
        region=draw(st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)),
        state=GridState(
            region="any",
            interval_start=now,
            interval_seconds=300,
            state=draw(st.sampled_from(Pulse)),
            since=now,
            score=draw(st.none() | st.floats(0, 1)),
            price_norm=None,
            carbon_norm=None,
            power_limit_w=draw(st.floats(1, 2_000)),
            power_fraction=0.5,
            run=draw(st.booleans()),
            epoch=0,
            reasons=tuple(draw(st.lists(st.sampled_from(CODES) | st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True)))),
            valid_until=now,
            policy="any",
            replay=draw(st.none() | st.just(Replay(run="r1"))),
        ),
        previous=previous,
        previous_since=draw(st.none() | st.timedeltas(timedelta(0), timedelta(days=400)).map(lambda ago: now - ago)),
        facts=TransitionFacts(
            price_usd_per_mwh=draw(prices),
            carbon_g_per_kwh=draw(intensities),
            carbon_basis=draw(st.sampled_from(CarbonBasis)),
            price_low_usd_per_mwh=None,
            price_high_usd_per_mwh=None,
            carbon_low_g_per_kwh=None,
            carbon_high_g_per_kwh=None,
            thresholds=draw(st.dictionaries(st.sampled_from(THRESHOLDS), st.floats(0, 1e4))),
            recent_interval_starts=tuple(now - timedelta(minutes=5 * n) for n in reversed(range(size))),
            recent_prices_usd_per_mwh=tuple(draw(st.lists(prices, min_size=size, max_size=size))),
            recent_carbon_g_per_kwh=tuple(draw(st.lists(intensities, min_size=size, max_size=size))),
        ),
    )


@given(transitions())
def test_every_number_in_a_text_is_a_fact(transition):
    text = told(transition)
    assert "None" not in text
    assert text.endswith(".")


@given(transitions())
def test_a_comparison_is_true_of_what_is_shown(transition):
    for value, where, limit in re.findall(
        r"price [^;]*?(-?\$[\d,.]+)/MWh[^;]*?, (above|at|below) the (\$[\d,.]+)", told(transition)
    ):
        shown, bound = (float(re.sub(r"[$,]", "", figure)) for figure in (value, limit))
        assert where == ("above" if shown > bound else "below" if shown < bound else "at")
