"""What a plain English sentence is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.explain.verification.plain import foreign_characters, plain


@pytest.mark.parametrize(
    ("text", "as_plain"),
    [
        ("the grid\u2019s price", "the grid's price"),
        ("a \u201cgood\u201d hour", 'a "good" hour'),
        ("RED \u2014 then AMBER", "RED - then AMBER"),
        ("\u2212$12.50", "-$12.50"),
        ("\u0661\u0662", "\u0661\u0662"),
        ("\uff14\uff11\uff12", "412"),
        ("412\u00a0g/kWh", "412 g/kWh"),
        ("one\r\n\r\n\ttwo  three ", "one two three"),
        ("\ufb01rst", "first"),
        ("\u00bd", "1\u20442"),
    ],
)
def test_typography_becomes_ascii_on_one_line(text, as_plain):
    assert plain(text) == as_plain


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_what_is_ascii_already_stays(text):
    assert plain(text) == text


@given(st.text())
def test_a_text_is_made_plain_once(text):
    assert plain(plain(text)) == plain(text)


@given(st.text())
def test_a_plain_text_is_one_line_or_names_what_breaks_it(text):
    told = plain(text)
    assert not {*"\n\r\t"} & {*told}
    assert told == told.strip(" ")


def test_a_plain_sentence_has_nothing_foreign():
    assert foreign_characters('Training paused (RED): price rose 5 % to $412/MWh; "it\'s" -$1.50, at 18:05.') == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("\x1b[2J", ("U+001B", "LEFT SQUARE BRACKET")),
        ("a\u200bb", ("ZERO WIDTH SPACE",)),
        ("\u202e", ("RIGHT-TO-LEFT OVERRIDE",)),
        ("<b>", ("LESS-THAN SIGN", "GREATER-THAN SIGN")),
        ("**RED**", ("ASTERISK",)),
        ("`RED`", ("GRAVE ACCENT",)),
        ("# RED", ("NUMBER SIGN",)),
        ("a_b", ("LOW LINE",)),
        ("a@b", ("COMMERCIAL AT",)),
        ("https://", ("SOLIDUS SOLIDUS",)),
        ("example.org", ("FULL STOP",)),
        ("RED -- now", ("HYPHEN-MINUS HYPHEN-MINUS",)),
        ("R\u0415D", ("CYRILLIC CAPITAL LETTER IE",)),
        ("\u0661", ("ARABIC-INDIC DIGIT ONE",)),
        ("gr\u00fcn", ("LATIN SMALL LETTER U WITH DIAERESIS",)),
        ("\U0001f7e2", ("LARGE GREEN CIRCLE",)),
    ],
)
def test_what_no_plain_sentence_has_is_named(text, named):
    assert foreign_characters(text) == named


def test_a_decimal_point_is_no_address():
    assert foreign_characters("0.80. Then") == ()


def test_the_characters_of_a_name_are_not_looked_at_where_it_stands():
    assert foreign_characters("in us_caiso_np15 it", ["us_caiso_np15"]) == ()
    assert foreign_characters("in US_CAISO_NP15 it", ["us_caiso_np15"]) == ()
    assert foreign_characters("in us_caiso_sp15 it", ["us_caiso_np15"]) == ("LOW LINE",)


@given(st.characters(min_codepoint=127))
def test_nothing_beyond_ascii_is_let_through(character):
    assert foreign_characters(character)
