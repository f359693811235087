"""Why a source gave no readings: worth another try, or not."""

from carbonshift.common.errors import CarbonShiftError, TransientError

__all__ = ["SourceRefusedError", "SourceUnavailableError"]


class SourceUnavailableError(TransientError):
    """The provider is away, busy, or answered what cannot be read: another try may help."""

    def __init__(self, problem: str, remedy: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(problem, remedy)
        self.retry_after_seconds = retry_after_seconds
        """How long the provider asks to be left alone; None where it says nothing."""


class SourceRefusedError(CarbonShiftError):
    """The provider understood and will not, or answered in a unit that it does not declare: no repeat mends that."""
