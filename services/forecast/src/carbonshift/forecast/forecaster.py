"""What a forecaster is: a history in, an outlook out. Pure: no clock, no I/O of ours."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import PriceMarket

__all__ = ["Array", "Bands", "Forecaster", "History", "Outlook", "sound"]

Array = NDArray[np.float64]


def _nothing() -> Array:
    return np.empty(0)


def _never() -> NDArray[np.bool_]:
    return np.empty(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """The past of one region on a regular grid, oldest first; price and carbon of the shape (n,), n >= 1; read-only."""

    origin: datetime
    """End of the last interval, UTC: the first step of a forecast starts here."""
    step_seconds: int
    """Length of each interval, and of each step ahead."""
    price_usd_per_mwh: Array
    """NaN where it is missing; may be negative."""
    carbon_g_per_kwh: Array
    """NaN where it is missing; never negative."""
    price_market: PriceMarket = PriceMarket.REAL_TIME
    """DAY_AHEAD: what is published is the price itself, known. REAL_TIME: it is the price of another market."""
    published_usd_per_mwh: Array = field(default_factory=_nothing)
    """Day-ahead prices, of the shape (n + m,), m >= 0: of the past and of m steps ahead; NaN where none is published.
    Of the shape (0,) where none ever was."""
    provided_g_per_kwh: Array = field(default_factory=_nothing)
    """What the provider of the carbon intensity itself expects of the steps ahead, of the shape (m,), m >= 0; NaN where
    it does not say."""
    time_zone: str = "UTC"
    """IANA name of the region's clock: days, and weekends, are those of people."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bands:
    """Three quantiles of each step, of the shape (steps,), finite, p10 <= p50 <= p90; in the unit of the signal."""

    p10: Array
    p50: Array
    p90: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """Price and carbon of the steps to come."""

    price_usd_per_mwh: Bands
    carbon_g_per_kwh: Bands
    """Never negative."""
    spike_probability: Array
    """Of the shape (steps,), each in [0, 1]: that the price lies above the threshold."""
    spike_threshold_usd_per_mwh: float
    degraded: bool
    """True where the history did not suffice for the model: simpler quantiles stand in."""
    price_silent: NDArray[np.bool_] = field(default_factory=_never)
    """True at each step of whose price the model says nothing of its own, whatever the numbers; of the shape (steps,),
    or (0,) where that is so of none."""
    carbon_silent: NDArray[np.bool_] = field(default_factory=_never)
    """Likewise of carbon."""


def sound(outlook: Outlook) -> Outlook:
    """The outlook, once it has been looked at. Raises: ValueError where a number in it is not finite."""
    rows = (*_quantiles(outlook.price_usd_per_mwh), *_quantiles(outlook.carbon_g_per_kwh), outlook.spike_probability)
    if not all(np.isfinite(row).all() for row in rows):
        raise ValueError("its outlook is not finite")
    return outlook


def _quantiles(bands: Bands) -> tuple[Array, Array, Array]:
    return bands.p10, bands.p50, bands.p90


class Forecaster(Protocol):
    """A way to look ahead, registered under the entry point group `carbonshift.forecasters`.

    The factory that is registered is called with the service's settings. `predict` runs in a thread of its own and
    keeps nothing between two calls: the same history gives the same outlook.
    """

    @property
    def name(self) -> str:
        """Its name in events; the one it is registered under."""
        ...

    def predict(self, history: History, steps: int) -> Outlook:
        """The outlook for `steps` >= 1 steps from the history's origin on.

        Raises: NoSignalError where price or carbon has no known value at all.
        """
        ...
