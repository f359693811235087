"""What decide refuses on purpose."""

from carbonshift.common.errors import CarbonShiftError

__all__ = ["FlatSignalError"]


class FlatSignalError(CarbonShiftError):
    """A signal whose trailing quantiles meet: it has no good hour, so the state is UNKNOWN."""
