import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.training.wire import Hello


@given(job=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), rank=st.integers(0, 99), more=st.integers(1, 99))
def test_a_hello_is_read_as_it_was_said(job, rank, more):
    hello = Hello(job=job, rank=rank, world_size=rank + more)
    assert Hello.of(hello.line()) == hello


GOOD = {"job": "resnet", "rank": 0, "world_size": 1, "protocol": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"job": "a.b"}, {"job": ""}, {"job": None}, {"rank": 1}, {"rank": -1}, {"world_size": True}, {"protocol": 2}],
)
def test_a_hello_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"job name|rank|protocol"):
        Hello.of(json.dumps(GOOD | wrong).encode())


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\n", b"[]\n", b"\xff\n"])
def test_what_is_no_hello_is_refused(line):
    with pytest.raises(ValueError):  # noqa: PT011  the reason is json's
        Hello.of(line)


def test_fields_of_a_newer_process_are_ignored():
    assert Hello.of(json.dumps(GOOD | {"colour": "green"}).encode()).job == "resnet"
