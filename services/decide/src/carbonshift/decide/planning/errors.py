"""What planning refuses on purpose."""

from carbonshift.common.errors import CarbonShiftError

__all__ = ["UnplannableError"]


class UnplannableError(CarbonShiftError, ValueError):
    """Costs, a job or a device that mean no plan: NaN among the costs, less than no work, a mode that does none."""
