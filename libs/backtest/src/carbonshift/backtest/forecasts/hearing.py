"""What the service forecast would have known at each moment of a tape, and what came. Pure but for reading the tape."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.recorded import Recorded
from carbonshift.common.events import GridTick, PriceMarket
from carbonshift.forecast.forecaster import History

__all__ = ["Hearing", "hearing"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Hearing:
    """A tape of n intervals; what is heard of an interval is heard as it ends, its corrections later."""

    first: int
    """Unix second at which the first interval begins."""
    step_seconds: int
    time_zone: str
    price_market: PriceMarket
    told: Floats
    """Price in USD/MWh and carbon in g/kWh as first told, of the shape (2, n); NaN where missing or spoken against."""
    corrected: Floats
    """What was told of an interval again, of the shape (2, k), in the order in which it was told."""
    corrected_places: Numbers
    """Of which interval, of the shape (k,)."""
    corrected_with: Numbers
    """Together with which later one, of the shape (k,)."""
    published_usd_per_mwh: Floats
    """Of the shape (n,); NaN where none is ever published."""
    published_at: Numbers
    """Unix second from which each is known, of the shape (n,)."""
    actual: Floats
    """What the tape says, of the shape (2, n); NaN where it does not."""

    @property
    def size(self) -> int:
        """How many intervals there are."""
        return int(self.told.shape[1])

    def moment(self, interval: int) -> datetime:
        """When the interval begins."""
        return datetime.fromtimestamp(self.first + interval * self.step_seconds, UTC)

    def history(self, origin: int, window: int, steps: int, *, day_ahead: bool) -> History:
        """What is known as interval `origin` begins: of `window` intervals before it, and published of `steps` ahead.

        Args:
            origin: at least `window`, at most n - steps.
            window: at least 1.
            steps: at least 1.
            day_ahead: whether published prices are heard.
        """
        since = origin - window
        past = self.told[:, since:origin].copy()
        for which in np.flatnonzero((self.corrected_with < origin) & (self.corrected_places >= since)):
            past[:, self.corrected_places[which] - since] = self.corrected[:, which]
        past.setflags(write=False)
        published = np.empty(0)
        if day_ahead and not np.isnan(self.published_usd_per_mwh).all():
            whole = slice(since, origin + steps)
            heard = self.published_at[whole] <= self.first + origin * self.step_seconds
            published = np.where(heard, self.published_usd_per_mwh[whole], np.nan)
            published.setflags(write=False)
        return History(
            origin=self.moment(origin),
            step_seconds=self.step_seconds,
            price_usd_per_mwh=past[0],
            carbon_g_per_kwh=past[1],
            price_market=self.price_market,
            published_usd_per_mwh=published,
            time_zone=self.time_zone,
        )

    def known(self, origin: int, steps: int) -> NDArray[np.bool_]:
        """Of which steps ahead the price itself is published as interval `origin` begins; of the shape (steps,)."""
        ahead = slice(origin, origin + steps)
        heard = self.published_at[ahead] <= self.first + origin * self.step_seconds
        known: NDArray[np.bool_] = heard & ~np.isnan(self.published_usd_per_mwh[ahead])
        return known


def hearing(recording: Recorded) -> Hearing:
    """The tape as it was told.

    Prices count as published in a day-ahead market alone: those that a tape of real time would publish are the ones
    that are to be foretold.
    """
    size = recording.prices_usd_per_mwh.size
    first, step = int(recording.first.timestamp()), recording.step_seconds
    told = np.full((2, size), np.nan)
    corrections: list[tuple[int, int, tuple[float, float]]] = []
    waiting: list[tuple[int, tuple[float, float]]] = []
    for tick in recording.ticks:
        place = (int(tick.interval_start.timestamp()) - first) // step
        if tick.revision:
            waiting.append((place, _sound(tick)))
            continue
        told[:, place] = _sound(tick)
        corrections += [(place, earlier, values) for earlier, values in waiting]  # told with what closed the gap
        waiting.clear()
    actual = np.full((2, size), np.nan)
    for row in recording.tape.rows():
        place = (int(row.interval_start.timestamp()) - first) // step
        actual[:, place] = [_number(row.price_usd_per_mwh), _number(row.carbon_g_per_kwh)]
    published, published_at = np.full(size, np.nan), np.full(size, NEVER, dtype=np.int64)
    for place, count, price, at in _published(recording):
        published[max(place, 0) : place + count], published_at[max(place, 0) : place + count] = price, at
    sidecar = recording.tape.sidecar
    return Hearing(
        first=first,
        step_seconds=step,
        time_zone=sidecar.time_zone,
        price_market=sidecar.price_market,
        told=told,
        corrected=np.array([values for _, _, values in corrections]).reshape(-1, 2).T,
        corrected_places=np.array([earlier for _, earlier, _ in corrections], dtype=np.int64),
        corrected_with=np.array([later for later, _, _ in corrections], dtype=np.int64),
        published_usd_per_mwh=published,
        published_at=published_at,
        actual=actual,
    )


def _published(recording: Recorded) -> Iterator[tuple[int, int, float, int]]:
    """Where each published price begins, for how many intervals it holds, the price, and when it was published."""
    if recording.tape.sidecar.price_market is not PriceMarket.DAY_AHEAD:
        return
    first, step = int(recording.first.timestamp()), recording.step_seconds
    for day in recording.published:
        for number, price in enumerate(day.prices_usd_per_mwh):
            start = int(day.first_interval_start.timestamp()) + number * day.step_seconds
            yield (start - first) // step, day.step_seconds // step, _number(price), int(day.published_at.timestamp())


def _sound(tick: GridTick) -> tuple[float, float]:
    return _number(tick.sound_price_usd_per_mwh), _number(tick.sound_carbon_g_per_kwh)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
