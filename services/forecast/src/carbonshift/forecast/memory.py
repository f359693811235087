"""What is known of a region's recent past, immutable, in event time. Pure."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket
from carbonshift.common.events.replay import mark
from carbonshift.forecast.forecaster import Array, History

__all__ = ["Memory"]

NEVER_SEEN = -1
Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memory:
    """A window of intervals on a regular grid that ends with the newest one; arrays of the shape (n,), read-only.

    As long as the carbon basis stays the same, the order in which ticks arrive changes nothing.
    """

    run: str
    """Which replay it belongs to; empty for the live grid."""
    price_market: PriceMarket
    carbon_basis: CarbonBasis
    step_seconds: int
    end: int
    """Unix second at which the newest interval ends."""
    prices_usd_per_mwh: Array
    carbon_g_per_kwh: Array
    revisions: NDArray[np.int64]
    """Of the tick that each value comes from; -1 where none has come."""

    @classmethod
    def of(cls, tick: GridTick, history_seconds: float) -> "Memory":
        """A memory of `tick` alone, with room for `history_seconds`, at least one interval."""
        size = max(1, int(history_seconds // tick.interval_seconds))
        empty = cls(
            run=mark(tick.replay),
            price_market=tick.price_market,
            carbon_basis=tick.carbon_basis,
            step_seconds=tick.interval_seconds,
            end=_end(tick),
            prices_usd_per_mwh=np.full(size, np.nan),
            carbon_g_per_kwh=np.full(size, np.nan),
            revisions=np.full(size, NEVER_SEEN, dtype=np.int64),
        )
        return _placed(empty, tick)

    def continues(self, tick: GridTick) -> bool:
        """Whether `tick` lies on this grid: of the same run, as long as the others, in phase with them."""
        return (
            mark(tick.replay) == self.run
            and tick.interval_seconds == self.step_seconds
            and (_end(tick) - self.end) % self.step_seconds == 0
        )

    def with_tick(self, tick: GridTick) -> "Memory":
        """This memory and `tick`, which must continue it.

        An interval that comes again is replaced unless what is known of it is newer. What has left the window is
        dropped. With a new carbon basis the carbon known so far is forgotten: marginal and average never mix.
        """
        ahead = (_end(tick) - self.end) // self.step_seconds
        moved = _moved(self, ahead) if ahead > 0 else self
        if ahead > 0 and tick.carbon_basis is not self.carbon_basis:
            forgotten = np.full(self.carbon_g_per_kwh.size, np.nan)
            moved = replace(moved, carbon_basis=tick.carbon_basis, carbon_g_per_kwh=forgotten)
        if ahead > 0 and tick.price_market is not self.price_market:
            unknown = np.full(self.prices_usd_per_mwh.size, np.nan)
            moved = replace(moved, price_market=tick.price_market, prices_usd_per_mwh=unknown)
        return _placed(moved, tick)

    def history(self) -> History:
        """From the oldest interval in the window that a tick has come for to the newest."""
        first = int(np.argmax(self.revisions != NEVER_SEEN))
        return History(
            origin=datetime.fromtimestamp(self.end, UTC),
            step_seconds=self.step_seconds,
            price_usd_per_mwh=self.prices_usd_per_mwh[first:],
            carbon_g_per_kwh=self.carbon_g_per_kwh[first:],
            price_market=self.price_market,
        )


def _end(tick: GridTick) -> int:
    return int(tick.interval_end.timestamp())


def _placed(memory: Memory, tick: GridTick) -> Memory:
    at = memory.revisions.size - 1 + (_end(tick) - memory.end) // memory.step_seconds
    if at < 0 or tick.revision < memory.revisions[at]:
        return memory
    price = tick.sound_price_usd_per_mwh if tick.price_market is memory.price_market else None
    carbon = tick.sound_carbon_g_per_kwh if tick.carbon_basis is memory.carbon_basis else None
    # what is spoken against, or of another kind, teaches nothing
    return replace(
        memory,
        prices_usd_per_mwh=_with_value(memory.prices_usd_per_mwh, at, np.nan if price is None else price),
        carbon_g_per_kwh=_with_value(memory.carbon_g_per_kwh, at, np.nan if carbon is None else carbon),
        revisions=_with_value(memory.revisions, at, tick.revision),
    )


def _moved(memory: Memory, steps: int) -> Memory:
    return replace(
        memory,
        end=memory.end + steps * memory.step_seconds,
        prices_usd_per_mwh=_moved_on(memory.prices_usd_per_mwh, steps, np.nan),
        carbon_g_per_kwh=_moved_on(memory.carbon_g_per_kwh, steps, np.nan),
        revisions=_moved_on(memory.revisions, steps, NEVER_SEEN),
    )


def _with_value(array: NDArray[Number], at: int, value: float) -> NDArray[Number]:
    changed = array.copy()
    changed[at] = value
    changed.setflags(write=False)
    return changed


def _moved_on(array: NDArray[Number], steps: int, fill: float) -> NDArray[Number]:
    """Without the first `steps` values and with as many of `fill` at the end."""
    added = np.full(min(steps, array.size), fill, dtype=array.dtype)
    return np.concatenate((array[added.size :], added))
