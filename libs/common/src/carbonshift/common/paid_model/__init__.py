"""Answers of a language model: asked for over its provider's SDK, bounded, and paid for within a budget."""

from carbonshift.common.paid_model.api import Api
from carbonshift.common.paid_model.asker import Asker, Terms, recording
from carbonshift.common.paid_model.counted_http import CountedHttp
from carbonshift.common.paid_model.counts import CallCounts
from carbonshift.common.paid_model.metrics import CallMetrics
from carbonshift.common.paid_model.question import Question
from carbonshift.common.paid_model.reason import NoAnswerError, Reason
from carbonshift.common.paid_model.tariff import RETRIES, Tariff
from carbonshift.common.paid_model.told import LONGEST_TEXT, Tokens, Told

__all__ = [
    "LONGEST_TEXT",
    "RETRIES",
    "Api",
    "Asker",
    "CallCounts",
    "CallMetrics",
    "CountedHttp",
    "NoAnswerError",
    "Question",
    "Reason",
    "Tariff",
    "Terms",
    "Tokens",
    "Told",
    "recording",
]
