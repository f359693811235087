"""Which steps a model is asked about, and what lies between them. Pure."""

import numpy as np
from numpy.typing import NDArray

from carbonshift.forecast.forecaster import Array

__all__ = ["Points", "asked_points", "between"]

ASKED_SECONDS = 4 * 3_600
MOST_POINTS = 16

Points = NDArray[np.int64]
"""Steps ahead, 0 being the first, strictly increasing; the first and the last of those asked about are among them."""


def asked_points(steps: int, step_seconds: int) -> Points:
    """At most 16 of the steps that start within the first four hours, spread evenly; at least the first step.

    Args:
        steps: how many an outlook has, at least 1.
        step_seconds: how long each is.
    """
    within = min(steps, max(1, ASKED_SECONDS // step_seconds))
    return np.rint(np.linspace(0, within - 1, min(within, MOST_POINTS))).astype(np.int64)


def between(points: Points, rows: Array) -> Array:
    """Each row on a straight line from point to point, of the shape (rows, points[-1] + 1).

    Args:
        points: of the shape (n,).
        rows: of the shape (rows, n).
    """
    steps = np.arange(points[-1] + 1)
    return np.stack([np.interp(steps, points, row) for row in rows])
