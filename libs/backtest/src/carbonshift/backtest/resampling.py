"""95 % intervals of ratios of sums, by resampling whole weeks: starts of one week share their weather."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "interval_of_ratio"]

Floats = NDArray[np.float64]
Interval = tuple[float, float]

RESAMPLES = 2_000
FEWEST_WEEKS = 2
WEEK_SECONDS = 7 * 86_400


def interval_of_ratio(
    numerators: Floats, denominators: Floats, start_seconds: NDArray[np.int64], seed: int
) -> Interval | None:
    """The interval of sum(numerators) / sum(denominators), paired on the same starts.

    Args:
        numerators: shape (s,).
        denominators: shape (s,).
        start_seconds: shape (s,), unix seconds.
        seed: of the resampling.

    Returns: the 2.5 % and 97.5 % quantiles over the resamples; None with fewer than two weeks, or where a resample's
        denominators do not sum to more than 0: then the ratio means nothing.

    Source: block bootstrap of Carlstein (1986), blocks of one week.
    """
    _, week = np.unique(start_seconds // WEEK_SECONDS, return_inverse=True)
    weeks = int(week.max()) + 1 if week.size else 0
    if weeks < FEWEST_WEEKS:
        return None
    above = np.bincount(week, numerators, minlength=weeks)
    below = np.bincount(week, denominators, minlength=weeks)
    taken = np.random.default_rng(seed).integers(0, weeks, size=(RESAMPLES, weeks))
    sums = below[taken].sum(axis=1)
    if not (sums > 0).all():
        return None
    low, high = np.quantile(above[taken].sum(axis=1) / sums, (0.025, 0.975))
    return float(low), float(high)
