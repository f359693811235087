"""A text taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.explain.verification.reading import Figure, Mark, Unit, Word, read


def figures(text):
    return [(part.unit, part.value) for part in read(text) if isinstance(part, Figure)]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("$412/MWh", Unit.PRICE, 412.0),
        ("$412", Unit.PRICE, 412.0),
        ("-$12.50/MWh", Unit.PRICE, -12.5),
        ("$-12.50", Unit.PRICE, -12.5),
        ("$1,200.50 per MWh", Unit.PRICE, 1_200.5),
        ("412 USD/MWh", Unit.PRICE, 412.0),
        ("412 dollars per MWh", Unit.PRICE, 412.0),
        ("$412/kWh", Unit.WRONG, 412.0),
        ("$412 per hour", Unit.WRONG, 412.0),
        ("268 g/kWh", Unit.CARBON, 268.0),
        ("268 grams CO2eq/kWh", Unit.CARBON, 268.0),
        ("268g per kWh", Unit.CARBON, 268.0),
        ("268 kg/kWh", Unit.WRONG, 268.0),
        ("268 g/MWh", Unit.WRONG, 268.0),
        ("175 W", Unit.POWER, 175.0),
        ("175 watts", Unit.POWER, 175.0),
        ("1.5 kW", Unit.POWER, 1_500.0),
        ("2 MW", Unit.POWER, 2e6),
        ("45 %", Unit.PERCENT, 45.0),
        ("45%", Unit.PERCENT, 45.0),
        ("45 percent", Unit.PERCENT, 45.0),
        ("95 minutes", Unit.DURATION, 95.0),
        ("10min", Unit.DURATION, 10.0),
        ("3 h 20 min", Unit.DURATION, 200.0),
        ("3 hours and 20 minutes", Unit.DURATION, 200.0),
        ("2 d 4 h", Unit.DURATION, 3_120.0),
        ("24-hour", Unit.DURATION, 1_440.0),
        ("18:05", Unit.CLOCK, "18:05"),
        ("2026-03-04", Unit.DATE, "2026-03-04"),
        ("0.80", Unit.BARE, 0.8),
        ("1,179", Unit.BARE, 1_179.0),
        ("-3", Unit.BARE, -3.0),
        ("2 jobs", Unit.BARE, 2.0),
        ("5 kWh", Unit.BARE, 5.0),
    ],
)
def test_a_figure_has_its_unit(text, unit, value):
    assert figures(text) == [(unit, value)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from 200 to 268 g/kWh", [(Unit.CARBON, 200.0), (Unit.CARBON, 268.0)]),
        ("between 1.2 and 1.5 kW", [(Unit.POWER, 1_200.0), (Unit.POWER, 1_500.0)]),
        ("from 45 to 20 %", [(Unit.PERCENT, 45.0), (Unit.PERCENT, 20.0)]),
        ("from 31 to $412/MWh", [(Unit.PRICE, 31.0), (Unit.PRICE, 412.0)]),
        ("2 jobs and 150 W", [(Unit.BARE, 2.0), (Unit.POWER, 150.0)]),
        ("0.60, 268 g/kWh", [(Unit.BARE, 0.6), (Unit.CARBON, 268.0)]),
        ("18:05 to 268 g/kWh", [(Unit.CLOCK, "18:05"), (Unit.CARBON, 268.0)]),
    ],
)
def test_two_figures_of_a_range_share_the_unit_behind_the_second(text, found):
    assert figures(text) == found


def test_how_finely_a_figure_is_written_is_known():
    assert [part.decimals for part in read("0.8 0.80 412 1,200.50")] == [1, 2, 0, 2]


@pytest.mark.parametrize("text", ["18:05:30", "2026-03-041", "1,17", "12,3456"])
def test_what_only_begins_as_a_figure_is_not_that_figure(text):
    assert text not in {part.value for part in read(text) if isinstance(part, Figure)}
    assert len(read(text)) > 1


def test_words_are_in_lower_case_and_known_as_they_were_shown():
    assert read("Training's (RED).") == (
        Word(text="training's", shown="Training's"),
        Mark(text="("),
        Word(text="red", shown="RED"),
        Mark(text=")"),
        Mark(text="."),
    )


def test_a_name_is_one_word_whatever_its_characters():
    assert read("Pumped hydro, US_CAISO-15!", {"pumped hydro": "pumped_hydro", "us_caiso-15": "name"}) == (
        Word(text="pumped_hydro", shown="Pumped hydro"),
        Mark(text=","),
        Word(text="name", shown="US_CAISO-15"),
        Mark(text="!"),
    )


@pytest.mark.parametrize("text", ["caiso-2", "xcaiso", "caiso1", "my-caiso"])
def test_a_name_within_a_longer_word_is_none(text):
    assert Word(text="name", shown="caiso") not in read(text, {"caiso": "name"})


pieces = st.sampled_from(
    [
        "$",
        "412",
        "/MWh",
        " ",
        "g/kWh",
        "kW",
        "18:05",
        "2026-03-04",
        "-",
        ".",
        ",",
        "to",
        "h",
        "min",
        "%",
        "RED",
        "caiso",
    ]
)
texts = st.lists(pieces | st.characters(min_codepoint=32, max_codepoint=126)).map("".join)


@given(texts)
def test_nothing_but_spaces_is_lost(text):
    shown = "".join(part.text if isinstance(part, Mark) else part.shown for part in read(text, {"caiso": "name"}))
    assert shown.replace(" ", "") == text.replace(" ", "")


@given(st.text())
def test_a_text_of_any_characters_can_be_read(text):
    shown = "".join(part.text if isinstance(part, Mark) else part.shown for part in read(text))
    assert "".join(shown.split()) == "".join(text.split())
