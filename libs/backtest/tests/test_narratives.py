"""The trial of narratives: who lies knows it, what is true is taken, and what is counted is what was published."""

import json
import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.backtest.narratives.cases import cases_of
from carbonshift.backtest.narratives.expected_times import expected_times
from carbonshift.backtest.narratives.liar import KINDS, Liar
from carbonshift.backtest.narratives.lies import LIES, Draft
from carbonshift.backtest.narratives.page import narratives_page
from carbonshift.backtest.narratives.phrasings import PHRASINGS, phrased, text_of_pieces
from carbonshift.backtest.narratives.strange_numbers import strange_numbers
from carbonshift.backtest.narratives.trial import can_ask, told_falsely
from carbonshift.backtest.recorded import recorded
from carbonshift.common.errors import InputError
from carbonshift.common.events import Pulse
from carbonshift.common.tape import open_tape
from carbonshift.decide.settings import DecideSettings
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.verification import plain, violations
from carbonshift.forecast.settings import ForecastSettings

FEW = 16


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Transitions of forty made days: cycles that no day repeats, and a spike now and then."""
    path = tmp_path_factory.mktemp("tape") / "made.csv"
    lines = ["time_utc,price_usd_per_mwh,carbon_g_per_kwh"]
    for hour in range(24 * 40):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        spike = 400 if hour % 211 == 0 else 0
        price = 40 + 25 * math.sin(hour * math.pi / 12) + 8 * math.sin(hour * hour) + spike
        carbon = 300 + 120 * math.sin(hour * math.pi / 12 + 1) + 20 * math.sin(hour * hour * 3)
        lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},{price:.3f},{carbon:.3f}")
    path.write_text("\n".join(lines) + "\n")
    return cases_of(recorded(open_tape(path)), DecideSettings(), ForecastSettings(), FEW, 0)


@pytest.fixture(scope="module")
def trial(cases):
    return told_falsely(cases, ExplainSettings(), (0.0, 1.0), 0, lambda *_: None)


@pytest.mark.parametrize("voice", PHRASINGS)
def test_every_voice_tells_every_case_truly(cases, voice):
    """Else a text that is refused would prove nothing."""
    for case in cases:
        text = text_of_pieces(phrased(voice, case.sheet))
        assert violations(plain(text), case.sheet) == (), text
        assert strange_numbers(text, case.sheet.facts()) == ()


def test_the_voices_differ(cases):
    for case in cases:
        assert len({text_of_pieces(phrased(voice, case.sheet)) for voice in PHRASINGS}) == len(PHRASINGS) >= 6


@pytest.mark.parametrize("kind", LIES)
def test_no_lie_of_any_kind_passes(cases, kind):
    draw = random.Random(0)
    for case in cases:
        draft = Draft(sheet=case.sheet, pieces=phrased(draw.choice([*PHRASINGS]), case.sheet))
        ways = [*LIES[kind](draft)]
        for false in draw.sample(ways, min(2, len(ways))):
            text = plain(false.text)
            assert text == plain(draft.text) or violations(text, case.sheet), false


def test_nearly_every_kind_finds_room_in_some_text(cases):
    drafts = [Draft(sheet=case.sheet, pieces=phrased(voice, case.sheet)) for case in cases for voice in PHRASINGS]
    without = {kind for kind, way in LIES.items() if not any(True for draft in drafts for _ in way(draft))}
    assert without <= {"swapped: durations", "cause: the wrong signal"}


def test_a_liar_says_the_same_to_the_same_question_and_another_seed_another(cases):
    sheet = cases[0].sheet
    assert Liar(1.0, 0).answer(sheet, "a") == Liar(1.0, 0).answer(sheet, "a")
    answers = {Liar(1.0, seed).answer(sheet, "a").body for seed in range(9)}
    assert len(answers) > 4


def test_a_liar_lies_as_often_as_it_is_told_to(cases):
    for share, most, least in ((0.0, 0, 0), (0.3, 120, 60), (1.0, 300, 300)):
        lies = sum(Liar(share, 0).answer(cases[0].sheet, str(at)).lie is not None for at in range(300))
        assert least <= lies <= most


def test_what_is_true_is_published_and_what_is_false_is_not(trial, cases):
    template, honest, lying = trial["rows"]
    assert template["by_template"] == honest["at_first"] == lying["by_template"] == len(cases)
    assert (honest["retries"], honest["calls"]) == (0, len(cases))
    assert lying["calls"] == len(cases) + lying["retries"] > len(cases)
    assert lying["usd"] > honest["usd"] > 0
    assert [row["false"] for row in trial["rows"]] == [row["strange_numbers"] for row in trial["rows"]] == [0, 0, 0]
    assert trial["published_lies"] == []


def test_every_lie_is_counted_once(trial):
    kinds = trial["kinds"]
    assert [*kinds] == [*KINDS]
    assert sum(counts["tried"] for counts in kinds.values()) == trial["rows"][2]["calls"]
    for counts in kinds.values():
        assert counts["tried"] == counts["refused"] + counts["undone"] + counts["published"]


def test_a_lie_that_is_published_is_counted(cases, monkeypatch):
    """Where the verification sees nothing, the trial does."""
    monkeypatch.setattr("carbonshift.explain.writer.writer.violations", lambda *_: ())
    trial = told_falsely(cases, ExplainSettings(), (1.0,), 0, lambda *_: None)
    assert trial["rows"][1]["false"] == len(trial["published_lies"]) > len(cases) / 2
    assert trial["rows"][1]["strange_numbers"] > 0


@pytest.mark.parametrize(
    ("text", "strange"),
    [
        ("$31/MWh at 18:05, 1,235 W", ()),
        ("a rise of $29", ()),
        ("$32/MWh", ("32",)),
        ("at 18:06", ("18:06",)),
        ("3 h 20 min and 4 h", ("4",)),
        ("0.8 and 0.7", ("0.7",)),
        ("\uff13\uff12", ("\uff13\uff12",)),
    ],
)
def test_a_number_that_no_fact_has_is_strange(text, strange):
    facts = {
        "price_usd_per_mwh": 60.0,
        "price_before_usd_per_mwh": 31.0,
        "since": "18:05",
        "previous_lasted": "3 h 20 min",
        "fleet_w": 1235.0,
        "score": 0.81,
        "state": None,
    }
    assert strange_numbers(text, facts) == strange


def test_expected_times_are_held_against_the_tape(cases):
    times = expected_times(cases)
    assert times["cases"] == FEW
    assert 0 <= times["within_both"] <= times["expected_both"] <= times["expected"] == len(times["errors_hours"])
    assert times["none_came"] <= times["none_expected"]
    for case in cases:
        if case.changed_at:
            assert case.changed_at > case.transition.state.since
            assert case.became is not case.transition.state.state
            assert case.became in Pulse


def test_the_page_sums_its_results_and_marks_what_the_stand_in_wrote(trial, cases):
    tape = {"tape": "made", "transitions": FEW, "expected_times": expected_times(cases)}
    document = json.loads(
        json.dumps({"command": "carbonshift explain evaluate /x/made.csv --json /y/a.json", "tapes": [tape], **trial})
    )
    page = narratives_page([document, document])
    assert f"{2 * FEW} transitions of 2 tapes" in page
    assert f"| template | {2 * FEW} | 0 | 0 | {2 * FEW} |" in page
    assert "/x/" not in page
    assert page.count("by template\n") == page.count("written by the trial's stand-in, not by Claude") == 10
    assert page.endswith("|\n")


def test_without_a_key_there_is_nobody_to_ask():
    with pytest.raises(InputError, match="--ask: there is nobody to ask; set ANTHROPIC_API_KEY"):
        can_ask(ExplainSettings())
