"""Equally likely futures of one signal, and what is read off them. Pure."""

import numpy as np

from carbonshift.forecast.forecaster import Array, Bands

__all__ = ["RANKS", "bands", "persistence"]

RANKS = np.arange(1, 100) / 100
"""A percentile each: that many futures stand for the whole distribution."""


def bands(scenarios: Array) -> Bands:
    """The p10, p50 and p90 of each step.

    Args:
        scenarios: shape (futures, steps), finite, both at least 1.
    """
    p10, p50, p90 = np.quantile(scenarios, (0.1, 0.5, 0.9), axis=0)
    return Bands(p10=p10, p50=p50, p90=p90)


def persistence(values: Array, steps: int) -> Array:
    """Futures in which the last value moves as it has moved before over as many steps, of the shape (99, steps).

    A step further ahead than the values reach back takes the longest move there is; one value alone never moves.

    Args:
        values: shape (n,), n >= 1, no NaN.
        steps: at least 1.
    """
    moves = np.empty((RANKS.size, steps))
    for step in range(steps):
        back = min(step + 1, values.size - 1)
        moves[:, step] = np.quantile(values[back:] - values[: values.size - back], RANKS)
    futures: Array = values[-1] + moves
    return futures
