"""A ridge regression whose errors are those of fits that had not seen them. Pure."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from carbonshift.forecast.forecaster import Array

__all__ = ["Foretold", "foretold"]

PENALTY_PER_ROW = 0.02
SPREAD_PENALTY_PER_ROW = 0.06
"""How far a value lies off is told less well than the value."""
BLOCKS = 4
"""Parts of the past, each foretold by a fit to the others: what a fit has learned by heart it does not miss."""
UNCHANGED = 1e-9
"""A column that varies less says nothing, and cannot be standardised."""
LEAST_OFF = 0.02
"""In the unit of the target: an error of nothing has no logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foretold:
    """One value, and how far off such values have been."""

    value: float
    width: float
    """How far off it is expected to be, > 0; in the unit of the target."""
    missed: Array
    """Actual less foretold value of each row, in widths of its own; of the shape (rows,)."""


def foretold(design: Array, target: Array, now: Array) -> Foretold:
    """The value at `now`, from what has been.

    Args:
        design: shape (rows, columns), the first column constant; rows in the order of their time, at least `BLOCKS`.
        target: shape (rows,), no NaN.
        now: shape (columns,).
    Source: Hoerl and Kennard (1970), Ridge Regression, Technometrics 12; columns are standardised, the constant is
        not shrunk.
    """
    centre, scale = design.mean(axis=0), design.std(axis=0)
    centre[0], scale[0] = 0.0, 1.0
    scale[scale < UNCHANGED] = 1.0
    rows, at = (design - centre) / scale, (now - centre) / scale
    edges = np.linspace(0, target.size, BLOCKS + 1).astype(int)
    blocks = [slice(start, end) for start, end in pairwise(edges)]
    products = [rows[block].T @ rows[block] for block in blocks]
    moments = [rows[block].T @ target[block] for block in blocks]
    product, moment = np.sum(products, axis=0), np.sum(moments, axis=0)
    shrink = np.eye(now.size) * target.size
    shrink[0, 0] = 0.0
    ridged = product + PENALTY_PER_ROW * shrink
    off = np.empty(target.size)
    for block, own_product, own_moment in zip(blocks, products, moments, strict=True):
        off[block] = target[block] - rows[block] @ np.linalg.solve(ridged - own_product, moment - own_moment)
    logs = np.log(np.abs(off) + LEAST_OFF)
    spread = np.linalg.solve(product + SPREAD_PENALTY_PER_ROW * shrink, rows.T @ logs)
    narrowest, widest = float(logs.min()), float(logs.max())
    widths = np.exp(np.clip(rows @ spread, narrowest, widest))
    return Foretold(
        value=float(at @ np.linalg.solve(ridged, moment)),
        width=float(np.exp(np.clip(at @ spread, narrowest, widest))),
        missed=off / widths,
    )
