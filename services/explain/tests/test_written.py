"""What of an answer is a text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.paid_model import NoAnswerError, Reason
from carbonshift.explain.writer.answer import SCHEMA, text_of


@given(st.text(min_size=1).filter(str.strip))
def test_a_text_comes_out_as_it_was_written(text):
    assert text_of(json.dumps({"text": text})) == text.strip()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", Reason.NOT_JSON),
        ("{", Reason.NOT_JSON),
        ("RED since 18:05", Reason.NOT_JSON),
        ("[" * 100_000, Reason.NOT_JSON),
        ('```json\n{"text": "a"}\n```', Reason.NOT_JSON),
        ("null", Reason.WRONG_SHAPE),
        ("[]", Reason.WRONG_SHAPE),
        ("{}", Reason.WRONG_SHAPE),
        ('{"text": 412}', Reason.WRONG_SHAPE),
        ('{"text": ["a"]}', Reason.WRONG_SHAPE),
        ('{"text": "a", "note": "b"}', Reason.WRONG_SHAPE),
        ('{"text": " \\n"}', Reason.EMPTY),
    ],
)
def test_anything_else_has_a_reason_and_is_not_quoted(answer, reason):
    with pytest.raises(NoAnswerError) as raised:
        text_of(answer)
    assert raised.value.reason == reason
    assert str(raised.value) == f"no usable answer ({reason}); ask another model where it is not rare"


def test_the_schema_admits_nothing_but_a_text():
    assert SCHEMA["required"] == ["text"]
    assert SCHEMA["additionalProperties"] is False
