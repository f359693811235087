"""Paths through running and parked near to given ones: candidates where no best relaxed path does exactly the work.

At the best multiplier two paths can be equally good, one with too much work and one with too little. What serves the
job then lies between them, and is the best path at no multiplier.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Candidates", "beside", "between"]

MOST = 16
"""Crossings of two paths tried in either direction."""
ALL_BELOW = 96
"""Up to so many intervals each is flipped; among more, only those beside a change."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Shapes (c,), (c,), (c, n): whose they are, the interval of completion, whether each interval begins running."""

    jobs: NDArray[np.intp]
    closing: NDArray[np.intp]
    starts: NDArray[np.bool_]


def between(low: NDArray[np.bool_], high: NDArray[np.bool_], closing: NDArray[np.intp]) -> Candidates:
    """All that follow the one path up to some interval and the other from it on; shapes (j, n), (j, n) and (j,)."""
    columns = np.arange(low.shape[1])
    jobs, paths = [], []
    for job, last in enumerate(closing):
        differ = np.flatnonzero(low[job, : last + 1] != high[job, : last + 1])[1:]
        if differ.size > MOST:
            differ = differ[np.linspace(0, differ.size - 1, MOST).astype(np.intp)]
        early = columns < differ[:, None]
        paths += [np.where(early, low[job], high[job]), np.where(early, high[job], low[job])]
        jobs.append(np.full(2 * differ.size, job))
    owners = np.concatenate(jobs)
    return Candidates(owners, closing[owners], np.concatenate(paths))


def beside(starts: NDArray[np.bool_], closing: NDArray[np.intp], last: NDArray[np.intp]) -> Candidates:
    """All that differ in the state of one interval or complete one interval away, not after `last`."""
    jobs, ends, paths = [], [], []
    for job, end in enumerate(closing):
        path = starts[job].copy()
        path[end + 1 :] = True
        flips = np.arange(1, end + 1)
        if end > ALL_BELOW:
            changes = np.diff(path[: end + 1]).nonzero()[0]
            flips = np.unique(np.concatenate((changes, changes + 1)))
            flips = flips[flips > 0]
        flipped = np.repeat(path[None, :], flips.size, axis=0)
        flipped[np.arange(flips.size), flips] ^= True
        other = np.array([k for k in (end - 1, end + 1) if 0 <= k <= last[job]], dtype=np.intp)
        paths += [flipped, np.repeat(path[None, :], other.size, axis=0)]
        ends += [np.full(flips.size, end), other]
        jobs.append(np.full(flips.size + other.size, job))
    return Candidates(np.concatenate(jobs), np.concatenate(ends), np.concatenate(paths))
