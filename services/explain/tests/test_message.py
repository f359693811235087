"""What the body of a message tells."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.paid_model import LONGEST_TEXT, Reason, Told
from carbonshift.explain.writer.message import read_message


def test_the_text_and_its_tokens(llm_server):
    assert read_message(llm_server.message("yes").body) == Told(answer="yes", tokens_in=1_000, tokens_out=400)
    assert read_message(llm_server.message("yes", usage=None).body) == Told(answer="yes")
    assert read_message(b'{"content":[{"type":"text","text":"y"},{"type":"text","text":"es"}]}') == Told(answer="yes")


def test_tokens_of_a_cache_are_tokens_too(llm_server):
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3_000}
    body = json.loads(llm_server.message("yes").body) | {"usage": usage | {"output_tokens": 4}}
    assert read_message(json.dumps(body).encode()) == Told(answer="yes", tokens_in=3_210, tokens_out=4)


@pytest.mark.parametrize(
    ("text", "more", "reason"),
    [
        ("half", {"stop_reason": "max_tokens"}, Reason.TRUNCATED),
        ("half", {"stop_reason": "model_context_window_exceeded"}, Reason.TRUNCATED),
        ("no \x1b[2J", {"stop_reason": "refusal"}, Reason.REFUSAL),
        ("", {"stop_reason": "refusal"}, Reason.REFUSAL),
        ("", {}, Reason.EMPTY),
        ("x", {"content": []}, Reason.EMPTY),
        ("x", {"content": [{"type": "thinking", "thinking": "hm", "text": "hm"}]}, Reason.EMPTY),
        ("x" * (LONGEST_TEXT + 1), {}, Reason.TOO_LONG),
    ],
)
def test_without_a_whole_text_there_is_a_reason_and_still_a_bill(llm_server, text, more, reason):
    assert read_message(llm_server.message(text, **more).body) == Told(reason=reason, tokens_in=1_000, tokens_out=400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"null",
        b"[]",
        b"{}",
        b'{"content":null}',
        b'{"content":"text"}',
        b'{"content":[null]}',
        b'{"content":[{"type":"text","text":{"a":1}}]}',
        b'{"content":[],"usage":{"input_tokens":-1,"output_tokens":1}}',
        b'{"content":[],"usage":{"input_tokens":1e300,"output_tokens":1}}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_message_is_malformed(body):
    assert read_message(body) == Told(reason=Reason.MALFORMED)


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(json.dumps).map(str.encode)
)
def test_no_body_breaks_the_reading(body):
    assert read_message(body).reason is Reason.MALFORMED
