"""Texts that lie by hand, each in a stated way: none may be published."""

from datetime import timedelta

import pytest

from carbonshift.common.events import Fuel, Pulse
from carbonshift.explain.expected import Change, Expected
from carbonshift.explain.facts import Surroundings, fact_sheet
from carbonshift.explain.fleet import FleetAnswer
from carbonshift.explain.fuel_shift import FuelShift
from carbonshift.explain.verification import plain, violations

TRUE = "RED began in caiso at 18:05 after 3 h 20 min of GREEN: the price rose from $31/MWh to $412/MWh in 10 minutes."
LIES = {
    # who did what
    "the carbon, not the price": "Carbon rose from $31/MWh to $412/MWh.",
    "`it` is the carbon": "Carbon was 268 g/kWh. It rose in 10 minutes.",
    "`its` limit is the carbon's": "Carbon is 268 g/kWh, above its limit of $150/MWh.",
    "the draw of training is the fleet's": "Training draws 1,000 W.",
    "the watts before are now": "The fleet draws 1,000 W.",
    "the watts now were before": "The fleet drew 486 W before.",
    "the fall is a rise": "The fleet's draw rose by 514 W.",
    "the rise is a fall": "The price fell by $381/MWh.",
    "paused jobs resumed": "2 jobs resumed.",
    "more jobs than were paused": "3 jobs are paused.",
    "wind, not solar": "Wind fell from 45 % to 20 %.",
    "solar rose": "Solar rose from 45 % to 20 %.",
    "solar's share of another hour": "Solar stands at 45 %.",
    "the fuel as the cause of the price": "Solar is the reason for the price of $412/MWh and of 45 % more carbon.",
    # lists of two
    "`both` takes one for two": "Price and carbon are both above their limits of $150/MWh and 268 g/kWh.",
    "`respectively` turns two round": "Price and carbon are 268 g/kWh and $412/MWh respectively.",
    "the former is the latter": "The fleet went from 486 W to 1,000 W.",
    "a range turned round": "AMBER is expected at 20:00 (p50), between 08:05 tomorrow (p10) and 19:30 (p90).",
    # limits
    "below, not above": "The price is below the $150/MWh limit.",
    "within the limit": "The price is within the limit of $150/MWh.",
    "less than the limit": "The price is less than $150/MWh.",
    "no figure, yet below": "The price is under its limit.",
    "carbon is past its limit": "Carbon is past its limit.",
    "the limit is the price": "The limit is $412/MWh.",
    "the price is the limit": "The price is now $150/MWh.",
    "the limit of GREEN": "GREEN allows up to $150/MWh, and more than $412/MWh.",
    # times
    "begun when it is expected to end": "RED began at 20:00.",
    "ends when it began": "AMBER is expected at 18:05 (p50).",
    "tomorrow for today": "AMBER is expected at 20:00 tomorrow (p50).",
    "today for tomorrow": "AMBER is expected at 20:00 (p50), or 08:05 on p90.",
    "p10 called p50": "AMBER is expected at 19:30 (p50).",
    "p90 called p10": "AMBER is expected at 20:00 (p50), with p10 at 08:05 tomorrow.",
    "a time of nobody's": "AMBER is expected at 21:00 (p50).",
    "an ISO time": "RED began at 2026-03-04T18:05Z, and AMBER at 20:00.",
    "another date": "RED began on 2026-03-05.",
    "already there": "AMBER began at 20:00.",
    "the state now is to come": "RED is expected at 20:00 (p50).",
    "GREEN is to come": "GREEN is expected at 20:00 (p50).",
    "the hour of the day before": "RED began at 18:05 tomorrow.",
    # durations
    "it lasted what the price took": "GREEN lasted 10 minutes.",
    "the price took what GREEN lasted": "The price rose within 3 h 20 min.",
    "the horizon as a span": "GREEN lasted 24 h.",
    "minutes without a figure": "The price rose within minutes.",
    "days without a figure": "RED will last for days.",
    "an hour without a figure": "RED will end in an hour.",
    "a span with a sign": "GREEN ended after -3 h 20 min.",
    "the wrong unit": "GREEN lasted 3 min 20 h.",
    # states
    "it was AMBER before": "It was AMBER before.",
    "it is GREEN": "The state is GREEN.",
    "it went the other way": "The region went from RED to GREEN.",
    "RED before RED": "RED followed 3 h 20 min of RED.",
    "after AMBER": "RED came after AMBER.",
    # what training does
    "it runs": "Training runs.",
    "it runs throttled": "Training is throttled.",
    "it is back": "Training is back.",
    "it resumed": "Training resumed at 18:05.",
    "all GPUs run": "GPUs run at full power.",
    "it has ended": "Training ended.",
    "GPUs train": "GPUs train.",
    "a limit while it is paused": "Training is paused at 175 W.",
    # causes
    "carbon as the cause": "The cause is carbon.",
    "because of carbon": "Training is paused because carbon rose.",
    "by juxtaposition: a clock": "Training is paused because the clock changed.",
    "by juxtaposition: power": "Training is paused because power left the region.",
    "by juxtaposition: supply": "Training is paused due to the region.",
    "thanks to nobody": "Thanks to the local time, training is paused.",
    "caused by GPUs": "The change was caused by GPUs.",
    "driven by others": "It was driven by others.",
    "carbon brought it about": "Carbon brought this about.",
    "an outage": "A plant outage drove the price.",
    "a company": "Google bought the power.",
    # comparisons without a figure
    "lower than before": "The price is lower than before.",
    "less than it was": "The price is less than it was.",
    "it came down": "The price came down.",
    "it went down": "The price went down.",
    "steady": "The price is steady.",
    "carbon rose": "Carbon rose.",
    "more was drawn": "The fleet's draw is higher than before.",
    # figures
    "a figure in words": "The price is four hundred.",
    "a figure half in words": "The price is 4 hundred.",
    "twice": "The price is twice what it was.",
    "twofold": "The price is 2x what it was.",
    "an ordinal": "This is the 2nd change.",
    "glued to a letter": "The price is $412k/MWh.",
    "with an exponent": "The price is $4e2/MWh.",
    "another unit": "The price is $412/kWh.",
    "no unit at all": "The price is 412.",
    "cents": "The price is 41,200 cents.",
    "kilograms": "Carbon is 268 kg/kWh.",
    "kilowatts": "The fleet draws 486 kW.",
    "rounded too far": "The price is $400/MWh.",
    "rough, and off": "The price is about $450/MWh.",
    "more than it is": "The price is more than $500/MWh.",
    "a wrong difference": "The price rose by $300/MWh.",
    "a wrong share": "The price rose by 50 %.",
    "half of the fleet": "Half of the fleet is idle.",
    "a sum of watts": "Together they draw 1,486 W.",
    "minus": "The price is -$412/MWh.",
    "minus behind the sign": "The price is $-412/MWh.",
    "thousands": "The price is $412,000/MWh.",
    "a decimal comma": "The price is $4,12/MWh.",
    "the price expected as now": "The price is $88/MWh.",
    "the price now as expected": "The price is expected at $412/MWh.",
    "carbon at a price": "Carbon is expected at $88/MWh.",
    "a probability": "AMBER is expected at 20:00 (p50) with 90 % likelihood.",
    "changes of the hour": "The state has changed 4 times within the last hour.",
    # denials
    "not": "Training is not paused.",
    "no": "There is no price.",
    "no forecast": "There is no forecast.",
    "without": "Training goes on without a limit.",
    "missing": "The price is missing.",
    # orders
    "an order": "Raise the limit.",
    "an order behind `then`": "Then stop the jobs.",
    "an order behind `now`": "Now restart the jobs.",
    "an order behind a comma": "Training is paused, restart the jobs.",
    "a duty": "Training should be resumed.",
    "a polite order": "Please restart the fleet.",
    "an address": "See evil.example.",
    "a command": "Run rm -rf.",
    "a list": "- more.",
    # doubt where there is none
    "flagged": "The price is flagged.",
    "untrusted": "The signals are untrusted.",
    "a replay": "This is a replay.",
}
"""What is added to a true text, by what is false in it."""


@pytest.fixture
def sheet(transition):
    """A spike, with all that can be around one."""
    red = transition(Pulse.RED, "price_critical", prices=(30, 31, 200, 412), watts=100)
    change = Change(
        state=Pulse.AMBER,
        p50=red.state.since + timedelta(minutes=115),
        p10=red.state.since + timedelta(minutes=85),
        p90=red.state.since + timedelta(hours=14),
        price_usd_per_mwh=88.2,
    )
    return fact_sheet(
        red,
        Surroundings(
            expected=Expected(horizon=timedelta(hours=24), change=change),
            fleet=FleetAnswer(before_w=1_000, now_w=486.4, basis="modelled", paused=2, resumed=0, tokens=0, tokens_w=0),
            fuels=(FuelShift(fuel=Fuel.SOLAR, before_percent=45, now_percent=20, within=timedelta(hours=1)),),
        ),
    )


def test_what_they_are_added_to_is_true(sheet):
    assert violations(plain(TRUE), sheet) == ()


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_is_refused_behind_the_truth(sheet, lie):
    assert violations(plain(f"{TRUE} {lie}"), sheet)


CALM_TRUE = "AMBER began in caiso at 18:05 after 3 h 20 min of GREEN: the score of 0.55 is between 0.35 and 0.8."
CALM_LIES = {
    "limits turned round": "The score is between 0.80 and 0.35.",
    "the limit of RED is GREEN's": "GREEN goes up to 0.80.",
    "the score is a limit": "RED begins at 0.55.",
    "a limit, roughly, that is the score": "By the score RED begins at roughly 0.56.",
    "above the limit of RED": "The score is above 0.80.",
    "below the limit of GREEN": "The score is below 0.35.",
    "within GREEN's range": "The score is within the GREEN limit of 0.35.",
    "a score of one decimal": "The score is 0.6.",
    "a score in percent": "The score is 55 %.",
    "the score was before": "The score was 0.55 before.",
    "the score of RED now": "The score is 0.80.",
    "no limit of the price is known": "The price is above its limit.",
    "carbon rose": "Carbon rose to 268 g/kWh.",
    "the price fell": "The price fell from $31/MWh to $48/MWh.",
    "the price went down": "The price went down.",
    "it stays so": "The price stays at $48/MWh.",
    "it is paused": "Training is paused.",
    "it stopped": "Training stopped at 18:05.",
    "it has to wait": "Training waits.",
    "it is idle": "The GPUs are idle.",
    "at full power": "Training runs at full power.",
    "it was paused": "Training resumed.",
    "jobs that never stopped resumed": "Jobs resumed.",
    "a job": "1 job resumed.",
    "the limit of GREEN": "Training runs at 250 W.",
    "the draw as the limit": "Training runs at up to 1,235 W.",
    "the draw was the same": "The fleet drew 1,235 W before.",
    "the draw rose": "The fleet's draw rose to 1,235 W.",
    "more than before": "The fleet draws 287 W more than before.",
    "a change to come": "RED is expected at 20:00 (p50).",
    "it ends soon": "AMBER is expected to end at 20:00 (p50).",
    "a change within the horizon": "A change is expected within 24 h.",
    "there is no forecast": "There is no forecast.",
    "it was RED": "The region was RED before.",
    "it came from RED": "The region left RED.",
    "RED is next": "RED is next.",
    "the forecast sees RED": "The forecast sees RED.",
    "back": "The region is back from RED.",
    "by a region": "It came because other regions took power.",
    "by a supply": "It came because the supply fell.",
    "by the hour": "It came as the hour changed.",
    "since nobody trusts it": "It came since the region is less trusted.",
    "after a share": "It came after a change of the share of wind.",
    "past the limit": "Price and carbon are past their limits.",
    "critical": "The price is critical.",
    "high": "The price is too high for GREEN.",
    "dwell": "The dwell keeps it.",
    "hysteresis": "Hysteresis keeps it.",
}
"""Where nobody is paused, and the score decided."""


@pytest.fixture
def calm(transition):
    amber = transition(Pulse.AMBER, "score_middle", prices=(31, 48), score=0.55)
    return fact_sheet(
        amber,
        Surroundings(
            expected=Expected(horizon=timedelta(hours=24), change=None),
            fleet=FleetAnswer(before_w=1_522, now_w=1_235, basis="modelled", paused=0, resumed=0, tokens=0, tokens_w=0),
        ),
    )


def test_what_the_calm_ones_are_added_to_is_true(calm):
    assert violations(plain(CALM_TRUE), calm) == ()


@pytest.mark.parametrize("lie", CALM_LIES.values(), ids=CALM_LIES)
def test_a_lie_about_a_calm_change_is_refused(calm, lie):
    assert violations(plain(f"{CALM_TRUE} {lie}"), calm)


@pytest.mark.parametrize(
    "said",
    [
        "The price rose by $17/MWh.",
        "The price is higher than before.",
        "The price went up.",
        "Training runs throttled at 175 W.",
        "The fleet draws 287 W less than before.",
        "The fleet's draw went from 1,522 W to 1,235 W.",
        "The forecast sees no change within 24 h (p50).",
        "AMBER is expected to stay for the next 24 h.",
        "It came because the score is above 0.35.",
    ],
)
def test_the_same_said_truly_is_taken(calm, said):
    """What refuses everything guards nothing."""
    assert violations(plain(f"{CALM_TRUE} {said}"), calm) == ()


def test_what_is_said_of_carbon_is_not_taken_of_the_price(transition):
    lost = fact_sheet(transition(Pulse.UNKNOWN, "tick_flagged", "carbon_zero", prices=(31, 27), carbon=(268, 0)))
    true = "UNKNOWN began in caiso at 18:05 after 3 h 20 min of GREEN: the carbon intensity is zero."
    assert violations(plain(true), lost) == ()
    assert violations(plain(f"{true} The price is below zero."), lost)
    assert violations(plain(f"{true} The price is zero."), lost)
