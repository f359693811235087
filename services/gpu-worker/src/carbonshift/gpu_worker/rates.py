"""What energy cost in each interval of a region, as its ticks tell it. Pure."""

from bisect import bisect_right, insort
from dataclasses import dataclass
from datetime import datetime, timedelta

from carbonshift.common.events import CarbonBasis, GridTick, Quality

__all__ = ["Rate", "Rates"]


RATES_KEPT = 10_000
"""A month of five minutes: how far a replay's ticks may be ahead of who follows it, or does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Price and carbon intensity of one interval; None where the tick has none that can be trusted."""

    start: datetime
    end: datetime
    revision: int
    price_usd_per_mwh: float | None
    price_quality: Quality
    carbon_g_per_kwh: float | None
    carbon_quality: Quality
    carbon_basis: CarbonBasis

    @classmethod
    def of(cls, tick: GridTick) -> "Rate":
        """As `tick` tells it."""
        return cls(
            start=tick.interval_start,
            end=tick.interval_end,
            revision=tick.revision,
            price_usd_per_mwh=tick.sound_price_usd_per_mwh,
            price_quality=tick.price_quality,
            carbon_g_per_kwh=tick.sound_carbon_g_per_kwh,
            carbon_quality=tick.carbon_quality,
            carbon_basis=tick.carbon_basis,
        )

    @property
    def stands_in(self) -> bool:
        """Whether a value that is used was interpolated or held."""
        price = self.price_usd_per_mwh is not None and not self.price_quality.is_told
        carbon = self.carbon_g_per_kwh is not None and not self.carbon_quality.is_told
        return price or carbon


class Rates:
    """The newest of each interval that has been heard; a tick may come before its interval's energy, or long after."""

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._rates: dict[datetime, Rate] = {}
        self.step = timedelta(minutes=5)
        """How long intervals are, as far as is known."""

    def hear(self, tick: GridTick) -> Rate | None:
        """Keep what `tick` tells; None where as much was known."""
        known = self._rates.get(tick.interval_start)
        if known and known.revision >= tick.revision:
            return None
        if known is None:
            insort(self._starts, tick.interval_start)
        if len(self._starts) > RATES_KEPT:
            del self._rates[self._starts.pop(0)]
        rate = self._rates[tick.interval_start] = Rate.of(tick)
        self.step = rate.end - rate.start
        return rate

    def at(self, moment: datetime) -> Rate | None:
        """The rate of the interval that `moment` lies in; None where its tick has not come."""
        index = bisect_right(self._starts, moment) - 1
        rate = self._rates[self._starts[index]] if index >= 0 else None
        return rate if rate and moment < rate.end else None

    def next_start(self, moment: datetime) -> datetime | None:
        """Where the next interval after `moment` begins of which there is a rate."""
        index = bisect_right(self._starts, moment)
        return self._starts[index] if index < len(self._starts) else None

    def forget(self, before: datetime) -> None:
        """Those that ended before."""
        while self._starts and self._rates[self._starts[0]].end < before:
            del self._rates[self._starts.pop(0)]
