"""The training side of CarbonShift: stdlib only; torch is the user's own."""

from carbonshift.training.autoload import session

__all__ = ["session"]
