"""What forecast refuses on purpose."""

from carbonshift.common.errors import CarbonShiftError

__all__ = ["NoSignalError"]


class NoSignalError(CarbonShiftError):
    """A signal without one known value in its history: there is nothing to forecast from."""
