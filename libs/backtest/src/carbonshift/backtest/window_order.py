"""The k-th smallest value of many windows of one array, each exactly, without sorting any of them. Pure."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["kth_smallest"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

CHUNK_WINDOWS = 16_384
"""Asked together: what a round looks up then fits a processor's cache; a year in one piece takes a third longer."""


def kth_smallest(values: Floats, begins: Places, ends: Places, ranks: Places) -> Floats:
    """Order statistics of `values[begins[i]:ends[i]]`.

    Args:
        values: shape (n,), no NaN, in any order.
        begins: shape (w,), never falling.
        ends: shape (w,), never falling; each above its begin.
        ranks: shape (k, w): 0 asks for the smallest of the window, ends - begins - 1 for the largest.

    Returns: shape (k, w).
    """
    found = np.empty(ranks.shape)
    for first in range(0, begins.size, CHUNK_WINDOWS):
        chunk = slice(first, first + CHUNK_WINDOWS)
        low, high = begins[chunk][0], ends[chunk][-1]
        found[:, chunk] = _asked(values[low:high], begins[chunk] - low, ends[chunk] - low, ranks[:, chunk])
    return found


def _asked(values: Floats, begins: Places, ends: Places, ranks: Places) -> Floats:
    """By a wavelet matrix: bit by bit of the answer's place in the order of all values.

    In each round a window is a stretch of `places`; those of its values whose bit is 0 come before those whose bit is
    1, and the rank says among which the answer is: they are the stretch of the next round.
    Source: Claude, Navarro and Ordonez (2015), The wavelet matrix, doi:10.1016/j.is.2014.06.002.
    """
    order = np.argsort(values)
    places = np.empty(values.size, dtype=np.int32)
    places[order] = np.arange(values.size, dtype=np.int32)
    rounds = []
    for bit in reversed(range(int(values.size - 1).bit_length())):
        is_zero = places & (1 << bit) == 0
        zeros_before = np.zeros(values.size + 1, dtype=np.intp)
        np.cumsum(is_zero, out=zeros_before[1:])
        rounds.append(zeros_before)
        places = np.concatenate((places.compress(is_zero), places.compress(~is_zero)))
    found = np.empty(ranks.shape)
    for row, rank in enumerate(ranks):
        found[row] = values[order[places[_stretches(rounds, begins, ends, rank)]]]
    return found


def _stretches(rounds: list[Places], begins: Places, ends: Places, rank: Places) -> Places:
    """Where the last stretches begin, which hold the answers alone, or several that are alike."""
    for zeros_before in rounds:
        zero_begins, zero_ends, all_zeros = zeros_before.take(begins), zeros_before.take(ends), zeros_before[-1]
        zeros = zero_ends - zero_begins
        is_one = rank >= zeros
        begins = np.where(is_one, begins - zero_begins + all_zeros, zero_begins)
        ends = np.where(is_one, ends - zero_ends + all_zeros, zero_ends)
        rank = rank - zeros * is_one
    return begins
