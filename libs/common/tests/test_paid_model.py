"""What every paid model shares, apart from the network; the shells of the SDKs test the rest."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from carbonshift.common.errors import InputError
from carbonshift.common.paid_model import Api, CallCounts, CallMetrics, Question, Reason, Tariff, Told

API = Api(name="ACME", kind="an Acme API")
QUESTION = Question(system="s" * 800, user="ü" * 400)
TARIFF = Tariff(
    usd_per_million_input_tokens=2.0, usd_per_million_output_tokens=8.0, output_tokens=1_000, format_bytes=400
)
REQUEST_USD = (2_000 * 2.0 + 1_000 * 8.0) / 1e6

tokens = st.integers(0, 10**9)


def test_the_most_that_a_question_can_cost_counts_each_byte_and_each_retry():
    assert QUESTION.size_bytes == 1_600
    assert TARIFF.most_usd(QUESTION) == pytest.approx(3 * REQUEST_USD)


@given(tokens, tokens, st.integers(1, 3), st.integers(0, 1 << 20))
def test_no_question_costs_more_than_was_reserved_nor_nothing(tokens_in, tokens_out, billable, received_bytes):
    told = Told(answer="yes", tokens_in=tokens_in, tokens_out=tokens_out)
    usd = TARIFF.usd(QUESTION, told, billable, received_bytes)
    assert 0 < usd <= TARIFF.most_usd(QUESTION) * (1 + 1e-12)


def test_a_request_that_nobody_told_the_end_of_costs_the_most():
    assert TARIFF.usd(QUESTION, Told(reason=Reason.TIMEOUT), 2, 0) == pytest.approx(2 * REQUEST_USD)
    assert TARIFF.usd(QUESTION, Told(reason=Reason.UNAUTHORIZED), 0, 0) == 0.0


def test_another_model_or_another_question_has_another_key():
    others = (Question(system=QUESTION.system, user="?"), Question(system="", user=QUESTION.user))
    keys = {QUESTION.key("a"), QUESTION.key("b"), *(other.key("a") for other in others)}
    assert len(keys) == 4
    assert QUESTION.key("a") == Question(system=QUESTION.system, user=QUESTION.user).key("a")


@pytest.mark.parametrize("reason", [*Reason, "of its own"])
def test_every_reason_has_a_remedy_that_names_the_apis_own_settings(reason):
    remedy = API.remedy_of(reason)
    assert "{" not in remedy
    assert "OPENAI" not in remedy
    assert "_" not in remedy or "ACME" in remedy


def test_a_code_of_another_version_is_unexpected():
    assert Reason("of_tomorrow") is Reason.UNEXPECTED


@pytest.mark.parametrize(
    ("key", "address", "named"),
    [
        ("sk secret", "https://host", "ACME_API_KEY"),
        ("sk-sécret", "https://host", "ACME_API_KEY"),
        ("sk-test", "ftp://user:secret@host", "ACME_BASE_URL"),
        ("sk-test", "https://user:secret@host:99999999", "ACME_BASE_URL"),
        ("sk-test", "https://user:secret@host/v1", "ACME_BASE_URL"),
    ],
)
def test_what_cannot_be_sent_is_named_and_not_quoted(key, address, named):
    with pytest.raises(InputError, match=f"{named} is no") as raised:
        API.check(key, address)
    assert "cret" not in str(raised.value)
    API.check("sk-test", "http://127.0.0.1:1/v1")


@dataclass(slots=True, kw_only=True)
class OwnCounts(CallCounts):
    used: int = 0


def test_prometheus_sees_the_counts_as_they_stand():
    counts = OwnCounts(calls=3, used=2, from_journal=1)
    metrics = CallMetrics("carbonshift_acme", counts, {"used": "Answers that were used."})
    counts.usd += 0.25
    counts.dropped += Counter(["crossed"])
    told = generate_latest(metrics).decode().splitlines()
    assert {line for line in told if not line.startswith("#")} == {
        "carbonshift_acme_calls_total 3.0",
        "carbonshift_acme_used_total 2.0",
        "carbonshift_acme_from_journal_total 1.0",
        "carbonshift_acme_dollars_total 0.25",
        'carbonshift_acme_dropped_total{reason="crossed"} 1.0',
    }
