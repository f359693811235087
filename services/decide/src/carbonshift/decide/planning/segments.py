"""What the next second of work costs: the lower convex envelope of (work, cost) over the ways to spend a second.

With one unit cost in an interval, the order of what is done in it does not matter, and any mix of two modes is a point
on the line between them. So the least cost of doing some work in it lies on the lower convex envelope of the points
(speed, draw x unit cost) of all ways to spend a second, and the envelope's edges, in the order of their slopes, are
what a greedy choice takes.

At a unit cost above 0 that is the lower hull of (speed, draw) and at one below 0 its upper hull: where drawing is paid
for, full power beats the caps. Only the sign matters, so that a device has its hulls once and for all intervals. The
interval of completion is different: what is left of it after completion costs nothing, waiting included.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.accounting import J_PER_KWH, J_PER_MWH
from carbonshift.decide.planning.job import Device

__all__ = ["OFF", "PARKED", "Edges", "Hulls", "closing_edges", "hulls_of", "unit_costs_usd_per_j"]

G_PER_TONNE = 1e6

PARKED = 0
"""Index of parked among the ways to spend a second; mode m has m + 1."""
OFF = -1
"""The time after completion."""


def unit_costs_usd_per_j(
    prices_usd_per_mwh: NDArray[np.float64], carbon_g_per_kwh: NDArray[np.float64], usd_per_tonne: float
) -> NDArray[np.float64]:
    """What a joule costs, its carbon included; shapes as numpy broadcasts them, NaN where either is."""
    return prices_usd_per_mwh / J_PER_MWH + carbon_g_per_kwh / J_PER_KWH * (usd_per_tonne / G_PER_TONNE)


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Envelopes as edges: shape (..., v) for the v vertices, rising in speed, and (..., v - 1) between them.

    A shorter envelope repeats its last vertex: edges of no width.
    """

    speeds: NDArray[np.float64]
    rates: NDArray[np.float64]
    """Of a second at each vertex: W, or USD/s where the unit cost is in it."""
    ways: NDArray[np.intp]
    """What is done at each vertex: `PARKED`, a mode's number + 1, or `OFF`."""

    @property
    def widths(self) -> NDArray[np.float64]:
        """Work a second of each edge brings."""
        return np.diff(self.speeds, axis=-1)

    @property
    def slopes(self) -> NDArray[np.float64]:
        """`rates` per work of each edge; 0 where it has no width."""
        widths = self.widths
        return np.divide(np.diff(self.rates, axis=-1), widths, out=np.zeros_like(widths), where=widths > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Hulls:
    """The hulls of (speed, draw) of a device; an interval's is the row that `row` names."""

    edges: Edges
    """Shape (5, modes + 1): modes alone or with parked, each the lower and the upper one, then parked alone."""

    PARKED_ONLY = 4

    slopes: NDArray[np.float64]
    """Those of `edges`: rising in a lower hull, falling in an upper one, which rounding alone might break."""

    @staticmethod
    def row(*, with_parked: NDArray[np.bool_], unit_costs: NDArray[np.float64]) -> NDArray[np.intp]:
        """The row of `edges` for an interval that mixes all modes, and parked where it may."""
        return 2 * with_parked.astype(np.intp) + (unit_costs < 0)


def hulls_of(device: Device) -> Hulls:
    """The hulls of `device`."""
    speeds = np.array((0.0, *device.speeds))
    draws_w = np.array((device.parked_w, *device.draws_w))
    parts = []
    for with_parked in (False, True):
        for sign in (1.0, -1.0):
            costs = sign * draws_w
            costs[PARKED] = costs[PARKED] if with_parked else np.inf
            parts.append(_envelope(speeds, costs[None, :]))
    parts.append(np.full((1, speeds.size), PARKED))
    rows = np.concatenate(parts)
    edges = Edges(speeds[rows], draws_w[rows], rows)
    slopes = edges.slopes
    np.maximum.accumulate(slopes[0:4:2], axis=1, out=slopes[0:4:2])
    np.minimum.accumulate(slopes[1:4:2], axis=1, out=slopes[1:4:2])
    return Hulls(edges, slopes)


def closing_edges(
    device: Device,
    unit_costs: NDArray[np.float64],
    usd_per_second: NDArray[np.float64],
    with_parked: NDArray[np.bool_],
) -> Edges:
    """The envelopes in the interval of completion: a second after it is free, one before it costs waiting as well.

    Args:
        device: the board.
        unit_costs: shape (j,), USD/J.
        usd_per_second: shape (j,), the value of waiting.
        with_parked: shape (j,), whether the board may also be parked.

    Returns: shape (j, modes + 1), rates in USD/s, the first vertex off or, where being parked pays, parked.
    """
    speeds = np.array((0.0, 0.0, *device.speeds))
    draws_w = np.array((0.0, device.parked_w, *device.draws_w))
    rates = unit_costs[:, None] * draws_w + usd_per_second[:, None]
    rates[:, 0] = 0.0
    costs = rates.copy()
    costs[~with_parked, 1] = np.inf
    vertices = _envelope(speeds, costs)[:, :-1]  # off and parked have the same speed: only one is a vertex
    return Edges(speeds[vertices], np.take_along_axis(rates, vertices, axis=1), vertices + OFF)


def _envelope(speeds: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.intp]:
    """Vertices of the lower convex envelope of each row of points, by gift wrapping from the slowest on.

    Args:
        speeds: shape (p,).
        costs: shape (j, p); infinite where a point is left out.

    Returns: shape (j, p), indices of points with strictly rising speed, the last repeated.
    """
    rows = np.arange(costs.shape[0])
    allowed = np.isfinite(costs)
    slowest = np.min(np.where(allowed, speeds, np.inf), axis=1, keepdims=True)
    current = np.argmin(np.where(speeds == slowest, costs, np.inf), axis=1)
    vertices = [current]
    for _ in range(speeds.size - 1):
        wider = speeds - speeds[current][:, None]
        rises = costs - costs[rows, current][:, None]
        further = (wider > 0) & allowed
        slopes = np.divide(rises, wider, out=np.full_like(costs, np.inf), where=further)
        steepest = slopes <= slopes.min(axis=1, keepdims=True)  # of those on one line the fastest: fewest vertices
        best = np.argmax(np.where(steepest & further, speeds, -np.inf), axis=1)
        current = np.where(further.any(axis=1), best, current)
        vertices.append(current)
    return np.stack(vertices, axis=1)
