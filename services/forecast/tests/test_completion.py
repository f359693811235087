"""What the body of an API tells."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.paid_model import LONGEST_TEXT, Reason, Told
from carbonshift.forecast.proposer.completion import read_completion


def test_the_text_and_its_tokens(llm_server):
    assert read_completion(llm_server.completion("yes").body) == Told(answer="yes", tokens_in=1_000, tokens_out=400)
    assert read_completion(llm_server.completion("yes", usage=None).body) == Told(answer="yes")
    assert read_completion(b'{"choices":[{"message":{"content":"yes"}}]}') == Told(answer="yes")


@pytest.mark.parametrize(
    ("text", "more", "reason"),
    [
        ("half", {"finish_reason": "length"}, Reason.TRUNCATED),
        ("half", {"finish_reason": "content_filter"}, Reason.FILTERED),
        (None, {"refusal": "no \x1b[2J"}, Reason.REFUSAL),
        ("yes", {"refusal": "no"}, Reason.REFUSAL),
        (None, {}, Reason.EMPTY),
        ("", {}, Reason.EMPTY),
        ("x", {"choices": []}, Reason.EMPTY),
        ("x" * (LONGEST_TEXT + 1), {}, Reason.TOO_LONG),
    ],
)
def test_without_a_whole_text_there_is_a_reason_and_still_a_bill(llm_server, text, more, reason):
    told = read_completion(llm_server.completion(text, **more).body)
    assert told == Told(reason=reason, tokens_in=1_000, tokens_out=400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"null",
        b'"text"',
        b"[]",
        b"{}",
        b'{"choices":null}',
        b'{"choices":[null]}',
        b'{"choices":[{"message":null}]}',
        b'{"choices":[{"message":{"content":{"a":1}}}]}',
        b'{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":1}}',
        b'{"choices":[],"usage":{"prompt_tokens":1e300,"completion_tokens":1}}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_completion_is_malformed(body):
    assert read_completion(body) == Told(reason=Reason.MALFORMED)


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(json.dumps).map(str.encode)
)
def test_no_body_breaks_the_reading(body):
    assert read_completion(body).reason is Reason.MALFORMED
