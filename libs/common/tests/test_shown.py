"""What of a text reaches a terminal or a page."""

import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import EVENTS, Digest, Narrative, PowerTarget, WorkerEvent, WorkerEventKind
from carbonshift.common.events.shown import REPLACED, Shown, ShownLines, harmless

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OBEYED = {
    "escape sequence": "\x1b[2J",
    "title of the terminal": "\x1b]0;owned\x07",
    "one-character escape sequence": "\x9b31m",
    "carriage return": "price $1\rprice $9",
    "backspace": "412\b\b\b31",
    "tabulator": "\t",
    "null": "\x00",
    "delete": "\x7f",
    "line separator": "\u2028",
    "right-to-left override": "\u202e214$",
    "right-to-left isolate": "\u2067",
    "zero-width space": "4\u200b12",
    "zero-width joiner": "\u200d",
    "soft hyphen": "RE\u00adD",
    "byte order mark": "\ufeff",
    "tag characters": "\U000e0049\U000e0067",
    "variation selectors": "\ufe0f\U000e0100",
    "fillers": "\u3164\u115f\uffa0",
    "private use": "\ue000",
    "markup of a page": "<img src=x onerror=alert(1)>",
}


@pytest.mark.parametrize("text", OBEYED.values(), ids=OBEYED.keys())
def test_what_would_be_obeyed_is_replaced_for_everyone_to_see(text):
    shown = harmless(text)
    assert REPLACED in shown
    assert len(shown) == len(text)
    assert not any(unicodedata.category(one) in {"Cc", "Cf", "Co", "Zl", "Zp"} or one == "<" for one in shown)


@pytest.mark.parametrize(
    "text",
    [
        "Training paused at 18:05 UTC (RED): price rose from $31 to $412/MWh, 45 % > 20 %; see [1] & [/red].",
        "Das Netz ist grün: 5 €/MWh – „günstig“",  # noqa: RUF001
        "電力は安い",
        "सस्ती बिजली",
        "claude-sonnet-5-5",
        "GPU-3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "",
    ],
)
def test_what_people_write_stays_as_it_is(text):
    assert harmless(text) == text


@given(st.text())
def test_a_text_is_made_harmless_once(text):
    assert harmless(harmless(text)) == harmless(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<")))
def test_every_printable_ascii_text_stays_as_it_is(text):
    assert harmless(text) == text


def _events(text):
    """One event of each kind that carries free text, as it comes from the wire."""
    narrative = {
        "region": "caiso",
        "transition_id": "transition:caiso:1",
        "interval_start": NOON,
        "text": text,
        "model": text,
        "facts": {},
        "fallback": False,
    }
    worker = {
        "worker": "w1",
        "site": "s1",
        "region": "caiso",
        "device_uuid": text,
        "sequence": 0,
        "started_at": NOON,
        "observed_at": NOON,
        "event": WorkerEventKind.CAP_REFUSED,
        "detail": {"problem": text, text: True, "limit_w": 175.5, "tokens": 3, "remedy": None},
    }
    target = {"site": "s1", "limit_w": 100, "start": NOON, "end": NOON + timedelta(hours=1), "requested_by": text}
    digest = {"region": "caiso", "start": NOON, "end": NOON + timedelta(days=1), "text": text, "facts": {}}
    wire = ((Narrative, narrative), (WorkerEvent, worker), (PowerTarget, target), (Digest, digest))
    return [kind.model_validate_json(json.dumps(values, default=str)) for kind, values in wire]


@pytest.mark.parametrize("text", OBEYED.values(), ids=OBEYED.keys())
def test_an_event_that_is_read_is_harmless_already(text):
    narrative, worker, target, digest = _events(text)
    shown = harmless(text)
    assert (narrative.text, narrative.model) == (shown, shown)
    assert worker.detail == {"problem": shown, shown: True, "limit_w": 175.5, "tokens": 3, "remedy": None}
    assert worker.device_uuid == target.requested_by == digest.text == shown
    assert shown in target.id


def test_a_value_beside_free_text_keeps_its_type():
    detail = _events("412")[1].detail
    assert {name: type(value) for name, value in detail.items()} == {
        "problem": str,
        "412": bool,
        "limit_w": float,
        "tokens": int,
        "remedy": type(None),
    }


def test_paragraphs_stay_apart_in_what_is_told_and_nowhere_else():
    narrative, _, target, digest = _events("one\n\ntwo")
    assert narrative.text == digest.text == "one\n\ntwo"
    assert narrative.model == target.requested_by == f"one{REPLACED * 2}two"


DATA = {
    ("DeadLetter", "source_subject"),
    ("DeadLetter", "source_stream"),
    ("DeadLetter", "error"),
    ("DeadLetter", "payload_base64"),
    ("Narrative", "transition_id"),
}
"""Kept as they came: nothing shows them."""


def test_every_free_text_of_an_event_is_a_harmless_one():
    """A new field is `Shown`, a `Name`, or named above."""
    made_harmless = {*Shown.__metadata__, *ShownLines.__metadata__}
    bare = {
        (kind.__name__, name)
        for kind in EVENTS
        for name, field in kind.model_fields.items()
        if field.annotation is str
        and not any(part in made_harmless or hasattr(part, "pattern") for part in field.metadata)
    }
    assert bare == DATA
