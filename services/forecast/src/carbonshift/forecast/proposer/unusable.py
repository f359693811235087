"""What can be wrong with numbers that are proposed: stable codes. Pure."""

from enum import StrEnum

__all__ = ["Unusable"]


class Unusable(StrEnum):
    """Besides what any answer of a model can have wrong."""

    NOT_FINITE = "not_finite"
    WRONG_LENGTH = "wrong_length"
    CROSSED = "crossed"
    IMPLAUSIBLE = "implausible"
