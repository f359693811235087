"""The trailing window of one region's ticks, immutable, in event time."""

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket

__all__ = ["History"]

Seconds = NDArray[np.int64]
Values = NDArray[np.float64]
Scalar = TypeVar("Scalar", np.int64, np.float64)


def _no_seconds() -> Seconds:
    return np.empty(0, dtype=np.int64)


def _no_values() -> Values:
    return np.empty(0, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Aligned arrays of shape (n,), rising in time; NaN = missing, or spoken against. Never changed in place.

    With another carbon basis or another market what is known of that signal is forgotten: they never mix.
    """

    starts: Seconds = field(default_factory=_no_seconds)
    """Unix seconds of the interval starts."""
    prices_usd_per_mwh: Values = field(default_factory=_no_values)
    carbon_g_per_kwh: Values = field(default_factory=_no_values)
    sorted_prices: Values = field(default_factory=_no_values)
    """The prices of the window that are not missing, rising: a quantile of them is a look-up, not a sort."""
    sorted_carbon: Values = field(default_factory=_no_values)
    price_market: PriceMarket | None = None
    """Of all prices in it; None before the first tick."""
    carbon_basis: CarbonBasis | None = None

    def with_tick(self, tick: GridTick, window_seconds: float) -> "History":
        """This history and `tick`: appended, or in the place of an earlier revision; what left the window is gone."""
        start = int(tick.interval_start.timestamp())
        at = int(np.searchsorted(self.starts, start))
        known = at < self.starts.size and int(self.starts[at]) == start
        newest = max(start, int(self.starts[-1])) if self.starts.size else start
        if start <= newest - window_seconds:
            return self  # a correction of what has left the window
        own = self._of(tick) if start == newest else self
        first = int(np.searchsorted(self.starts, newest - window_seconds, side="right"))
        after = at + 1 if known else at
        prices, sorted_prices = _changed(
            own.prices_usd_per_mwh,
            own.sorted_prices,
            first,
            at,
            after,
            tick.sound_price_usd_per_mwh if tick.price_market is own.price_market else None,
        )
        carbon, sorted_carbon = _changed(
            own.carbon_g_per_kwh,
            own.sorted_carbon,
            first,
            at,
            after,
            tick.sound_carbon_g_per_kwh if tick.carbon_basis is own.carbon_basis else None,
        )
        return History(
            starts=_spliced(self.starts, first, at, start, after),
            prices_usd_per_mwh=prices,
            carbon_g_per_kwh=carbon,
            sorted_prices=sorted_prices,
            sorted_carbon=sorted_carbon,
            price_market=own.price_market,
            carbon_basis=own.carbon_basis,
        )

    def _of(self, tick: GridTick) -> "History":
        """Without what comes from another market, or is of another basis, than `tick`."""
        same_market, same_basis = tick.price_market is self.price_market, tick.carbon_basis is self.carbon_basis
        if same_market and same_basis:
            return self
        nothing, none = np.full(self.starts.size, np.nan), _no_values()
        return History(
            starts=self.starts,
            prices_usd_per_mwh=self.prices_usd_per_mwh if same_market else nothing,
            carbon_g_per_kwh=self.carbon_g_per_kwh if same_basis else nothing,
            sorted_prices=self.sorted_prices if same_market else none,
            sorted_carbon=self.sorted_carbon if same_basis else none,
            price_market=tick.price_market,
            carbon_basis=tick.carbon_basis,
        )

    def span_seconds(self) -> float:
        """From the oldest start to the newest."""
        return float(self.starts[-1] - self.starts[0]) if self.starts.size else 0.0


def _changed(
    values: Values, in_order: Values, first: int, at: int, after: int, value: float | None
) -> tuple[Values, Values]:
    """The window without [:first] and [at:after] and with `value` at `at`; and the same values sorted."""
    for gone in (*values[:first], *values[at:after]):
        if not np.isnan(gone):
            place = int(np.searchsorted(in_order, gone))
            in_order = np.concatenate((in_order[:place], in_order[place + 1 :]))
    if value is not None:
        place = int(np.searchsorted(in_order, value))
        in_order = _spliced(in_order, 0, place, value, place)
    return _spliced(values, first, at, np.nan if value is None else value, after), in_order


def _spliced(array: NDArray[Scalar], first: int, at: int, value: float, after: int) -> NDArray[Scalar]:
    return np.concatenate((array[first:at], np.array([value], dtype=array.dtype), array[after:]))
