"""Where a price or a carbon intensity stands among its recent past. Pure: no clock, no I/O."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.errors import FlatSignalError

__all__ = ["Band", "Spread", "robust_norm", "spread_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The trailing quantiles a norm is taken between."""

    low_quantile: float = 0.05
    optimal_quantile: float = 0.5
    high_quantile: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The values at the quantiles of a band, in the unit of the signal."""

    low: float
    optimal: float
    high: float


def spread_of(trailing: NDArray[np.float64], band: Band) -> Spread:
    """The quantiles of `trailing`.

    Args:
        trailing: shape (n,), n >= 2, rising, no NaN: the observed values of the band's window, in one unit.
        band: which quantiles.

    Raises: FlatSignalError where the quantiles meet, or lie further apart than a float can tell: a stuck signal, as one
        that is no signal, has no good hour, so the state is UNKNOWN.
    Source: quantile type 7 of Hyndman and Fan (1996).
    """
    low, optimal, high = (
        _quantile(trailing, share) for share in (band.low_quantile, band.optimal_quantile, band.high_quantile)
    )
    if not 0.0 < high - low < math.inf:
        raise FlatSignalError(
            f"the quantiles of {trailing.size} values are {low:g} and {high:g}", "look for a stuck or broken source"
        )
    return Spread(low=low, optimal=optimal, high=high)


def robust_norm(value: float, spread: Spread) -> float:
    """`value` between the quantiles, clamped to [0, 1]: 0.0 at the low one and below, 1.0 at the high one and above."""
    return min(max(0.0, (value - spread.low) / (spread.high - spread.low)), 1.0)  # 0.0 first: never -0.0


def _quantile(rising: NDArray[np.float64], share: float) -> float:
    position = (rising.size - 1) * share
    below = int(position)
    low = float(rising[below])
    high = float(rising[min(below + 1, rising.size - 1)])
    return low + (high - low) * (position - below)
