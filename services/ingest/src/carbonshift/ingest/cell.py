"""A number in a cell of somebody's CSV, read strictly. Pure."""

import math

__all__ = ["number"]


def number(cell: str) -> float:
    """The finite number that `cell` writes in ASCII digits.

    Raises: ValueError for anything else: nan and inf, 1e999, 1_000 and digits of other scripts among it.
    """
    value = float(cell)
    if not math.isfinite(value) or not cell.isascii() or "_" in cell:
        raise ValueError(cell)
    return value
