"""The training side of CarbonShift: stdlib only; torch is the user's own."""

from carbonshift.training.autoload import session
from carbonshift.training.leaving import leave_if_asked
from carbonshift.training.loader import pausable

__all__ = ["leave_if_asked", "pausable", "session"]
