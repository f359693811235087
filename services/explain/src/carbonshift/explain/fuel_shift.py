"""Which fuels gave more or less of the power than about an hour ago. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from carbonshift.common.events import Fuel, FuelMix

__all__ = ["FuelShift", "fuel_shifts"]

OLDEST = timedelta(minutes=30)
"""What ended longer ago than that says nothing of now."""
BACK = timedelta(hours=1)
ABOUT = timedelta(minutes=15)
"""By so much the hour may be longer or shorter."""
LEAST_POINTS = 3.0
MOST_SHIFTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FuelShift:
    """How the share of one fuel has changed; both are percent of all that feeds in, whole."""

    fuel: Fuel
    before_percent: int
    now_percent: int
    within: timedelta
    """From the one interval to the other."""


def fuel_shifts(mixes: Sequence[FuelMix], at: datetime) -> tuple[FuelShift, ...]:
    """The shares that moved by 3 points or more, the largest move first, three at most.

    Compared are the newest mix that has begun by `at` and, of the same source with the same fuels, the one nearest to
    an hour before: a fuel that one of them does not know would move the shares of all others.

    Args:
        mixes: of one region, in any order.
        at: the moment that is explained, in event time.
    Returns: none where the newest ended more than 30 minutes before, or none is of 45 to 75 minutes earlier.
    """
    begun = (mix for mix in mixes if mix.interval_start <= at)
    now = max(begun, key=lambda mix: (mix.interval_start, mix.source), default=None)
    if now is None or at - now.interval_end > OLDEST:
        return ()
    before = _before(mixes, now)
    if before is None:
        return ()
    then, today = _percent(before.power_w), _percent(now.power_w)
    moved = [fuel for fuel in Fuel if fuel in then and abs(today[fuel] - then[fuel]) >= LEAST_POINTS]
    moved.sort(key=lambda fuel: -abs(today[fuel] - then[fuel]))
    return tuple(
        FuelShift(
            fuel=fuel,
            before_percent=_whole(then[fuel]),
            now_percent=_whole(today[fuel]),
            within=now.interval_start - before.interval_start,
        )
        for fuel in moved[:MOST_SHIFTS]
    )


def _before(mixes: Sequence[FuelMix], now: FuelMix) -> FuelMix | None:
    """The one to compare `now` with; of two that are as near, the later one."""
    wanted = now.interval_start - BACK
    alike = (
        mix
        for mix in mixes
        if mix.source == now.source
        and mix.power_w.keys() == now.power_w.keys()
        and abs(mix.interval_start - wanted) <= ABOUT
    )
    return min(alike, key=lambda mix: (abs(mix.interval_start - wanted), wanted - mix.interval_start), default=None)


def _percent(power_w: Mapping[Fuel, float]) -> dict[Fuel, float]:
    """Of all that feeds in; what takes from the grid has no share. All 0 where nothing feeds in."""
    fed_w = {fuel: max(value, 0.0) for fuel, value in power_w.items()}
    total_w = sum(fed_w.values())
    return {fuel: 100 * (value / total_w) if total_w > 0 else 0.0 for fuel, value in fed_w.items()}


def _whole(percent: float) -> int:
    """Halves go up, so that what moved by 3 points is shown as having moved by 3 at least."""
    return math.floor(percent + 0.5)
