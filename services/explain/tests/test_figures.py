"""Figures as they are shown."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.explain.figures import duration, grouped, rounded, ungrounded

prices = st.floats(-1e6, 1e6)


@given(st.lists(prices, min_size=1, max_size=5))
def test_rounding_never_turns_an_order_round(values):
    shown = rounded(*values)
    assert sorted(range(len(values)), key=values.__getitem__) == sorted(
        range(len(values)), key=lambda at: (shown[at], values[at])
    )


@given(prices, prices)
def test_two_figures_a_cent_apart_are_shown_apart(one, other):
    if abs(one - other) >= 0.011:
        assert len(set(rounded(one, other))) == 2


@given(prices)
def test_what_is_shown_reads_as_what_is_recorded(value):
    (shown,) = rounded(value)
    assert float(grouped(shown).replace(",", "")) == shown
    assert grouped(shown) != "-0"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (0, "0 minutes"),
        (1, "1 minute"),
        (95, "95 minutes"),
        (120, "2 h"),
        (200, "3 h 20 min"),
        (2_880, "2 d"),
        (3_125, "2 d 4 h"),
    ],
)
def test_a_duration_is_said_as_people_say_it(minutes, said):
    assert duration(timedelta(minutes=minutes)) == said


FACTS = {
    "price": 412.0,
    "before": -1_200.5,
    "since": "18:05",
    "date": "2026-03-04",
    "lasted": "3 h 20 min",
    "none": None,
}


@pytest.mark.parametrize(
    "text",
    [
        "RED since 18:05 UTC: -$1,200.50 to $412/MWh, after 3 h 20 min.",
        "On 2026-03-04 it was 412, no more",
        "NP15 has no figure",
    ],
)
def test_a_text_of_facts_is_grounded(text):
    assert ungrounded(text, FACTS) == ()


@pytest.mark.parametrize(
    ("text", "invented"),
    [
        ("$413/MWh", ("$413",)),
        ("it rose by 12.5 %", ("12.5",)),
        ("since 18:06", ("18:06",)),
        ("$1,200.50", ("$1,200.50",)),
        ("-412", ("-412",)),
        ("on 2026-03-05", ("2026-03-05",)),
    ],
)
def test_an_invented_figure_is_named(text, invented):
    assert ungrounded(text, FACTS) == invented
