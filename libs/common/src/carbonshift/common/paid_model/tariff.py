"""What a question to a model costs. Pure."""

from dataclasses import dataclass

from carbonshift.common.paid_model.question import Question
from carbonshift.common.paid_model.told import Told

__all__ = ["RETRIES", "Tariff"]

RETRIES = 2
"""How often an SDK asks again."""
MOST_BYTES_A_TOKEN = 8
"""More than a token has on average in any text: fewer tokens than that are not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What a model takes, and how much of it one request may take."""

    usd_per_million_input_tokens: float
    usd_per_million_output_tokens: float
    output_tokens: int
    """The most an answer may have."""
    format_bytes: int
    """Of what is sent with every question: the schema of its answer."""

    def most_usd(self, question: Question) -> float:
        """The most that `question` can cost, each retry being paid for: a token is at least one byte."""
        return (1 + RETRIES) * self._request_usd(question)

    def usd(self, question: Question, told: Told, billable: int, received_bytes: int) -> float:
        """What `question` has cost: what was told of it, and the most for each request nobody told anything of.

        What was told is believed from what the bytes of the question and of what came back must have taken at least, up
        to the most that a request can.

        Args:
            question: that was asked.
            told: of the last request.
            billable: how many requests there were that may have to be paid for.
            received_bytes: of the last body.
        """
        most_usd = self._request_usd(question)
        if told.tokens_in is None or told.tokens_out is None:
            return billable * most_usd
        least_usd = self._price(question.size_bytes // MOST_BYTES_A_TOKEN, received_bytes // MOST_BYTES_A_TOKEN)
        told_usd = self._price(told.tokens_in, told.tokens_out)
        return min(max(told_usd, least_usd), most_usd) + (billable - 1) * most_usd

    def _request_usd(self, question: Question) -> float:
        return self._price(question.size_bytes + self.format_bytes, self.output_tokens)

    def _price(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self.usd_per_million_input_tokens + tokens_out * self.usd_per_million_output_tokens) / 1e6
