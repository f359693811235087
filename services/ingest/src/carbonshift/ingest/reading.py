"""One value that a source gave for one interval."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Reading", "Signal"]


class Signal(StrEnum):
    """What a source can tell of a grid."""

    PRICE = "price"
    """USD/MWh."""
    CARBON = "carbon"
    """g/kWh."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value and the start of its interval in UTC; None = the source says that it has none."""

    interval_start: datetime
    value: float | None
    estimated: bool = False
    """The provider itself calls it an estimate, an imputation or a forecast; what it measured may come later."""
