"""Why there is no proposal: stable codes, each with what can be done about it. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from carbonshift.common.errors import CarbonShiftError

__all__ = ["NoProposalError", "Reason", "remedy_of"]


class Reason(StrEnum):
    """Why there is no proposal."""

    BUDGET = "budget"
    JOURNAL = "journal"
    NOT_RECORDED = "not_recorded"
    UNANSWERED = "unanswered"
    """Whoever asked was gone before the answer came."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server_error"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    BAD_REQUEST = "bad_request"
    REDIRECTED = "redirected"
    UNEXPECTED = "unexpected"
    """An error that should not be, or a code that a journal of another version has."""

    MALFORMED = "malformed"
    """No completion at all."""
    TOO_LARGE = "too_large"
    """More bytes than any completion has."""
    EMPTY = "empty"
    REFUSAL = "refusal"
    FILTERED = "filtered"
    TRUNCATED = "truncated"
    TOO_LONG = "too_long"

    NOT_JSON = "not_json"
    NOT_FINITE = "not_finite"
    WRONG_SHAPE = "wrong_shape"
    WRONG_LENGTH = "wrong_length"
    CROSSED = "crossed"
    IMPLAUSIBLE = "implausible"

    @classmethod
    def _missing_(cls, value: object) -> "Reason":
        del value
        return cls.UNEXPECTED


REMEDIES: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.NOT_RECORDED: "record that question, or unset CARBONSHIFT_OPENAI_ANSWERS",
        Reason.UNANSWERED: "record that question anew",
        Reason.TIMEOUT: "raise CARBONSHIFT_OPENAI_TIMEOUT_SECONDS where it is not rare",
        Reason.UNREACHABLE: "see that OPENAI_BASE_URL can be reached from here",
        Reason.SERVER_ERROR: "wait: the provider has trouble",
        Reason.UNAUTHORIZED: "correct OPENAI_API_KEY",
        Reason.RATE_LIMITED: "wait, or raise the limits or the credit of the account",
        Reason.BAD_REQUEST: "set a CARBONSHIFT_OPENAI_MODEL that this API has, with structured outputs",
        Reason.REDIRECTED: "set OPENAI_BASE_URL to where the API itself is",
        Reason.UNEXPECTED: "report this",
        Reason.MALFORMED: "see that OPENAI_BASE_URL is that of an OpenAI-compatible API",
        Reason.TOO_LARGE: "see that OPENAI_BASE_URL is that of an OpenAI-compatible API",
        Reason.TRUNCATED: "raise CARBONSHIFT_OPENAI_OUTPUT_TOKENS",
    }
)


def remedy_of(reason: Reason) -> str:
    """What can be done about it."""
    return REMEDIES.get(reason, "set another CARBONSHIFT_OPENAI_MODEL where it is not rare")


class NoProposalError(CarbonShiftError):
    """There is no answer, or none that can be used; what it says instead is quoted nowhere."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"no usable answer ({reason.value})", remedy_of(reason))
        self.reason = reason
