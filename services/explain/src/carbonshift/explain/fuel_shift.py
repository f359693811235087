"""Stand-in until the fuel mix comes."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class FuelShift:
    """x."""

    fuel: str
    before_percent: int
    now_percent: int
    within: timedelta
