"""Why a question to a model has brought nothing: stable codes, which journals and metrics have too. Pure."""

from enum import StrEnum

from carbonshift.common.errors import CarbonShiftError

__all__ = ["NoAnswerError", "Reason"]


class Reason(StrEnum):
    """Those that any question can have; whoever asks may have more of its own."""

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
    WRONG_SHAPE = "wrong_shape"

    @classmethod
    def _missing_(cls, value: object) -> "Reason":
        del value
        return cls.UNEXPECTED


class NoAnswerError(CarbonShiftError):
    """There is no answer, or none that can be used; what it says instead is quoted nowhere."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no usable answer ({reason})", "ask another model where it is not rare")
        self.reason = reason
