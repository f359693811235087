"""Publishes what feeds the grid, each interval once."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar

from carbonshift.common.events import FuelMix
from carbonshift.ingest.fuel_mix import FuelMixer, Supply
from carbonshift.ingest.interval import begin_of
from carbonshift.ingest.side_feed import PAUSE_SECONDS, Question, SideFeed

__all__ = ["LOOK_BACK", "FuelFeed", "fuel_mixes"]

logger = logging.getLogger("carbonshift.ingest")

LOOK_BACK = timedelta(days=1)
"""So far back it is asked for: Electricity Maps measures some hours long after it has estimated them."""
LARGEST_POWER_W = 1e13
"""Three times what all plants of the world give."""
POLLS_PER_INTERVAL = 4
"""Of the longer intervals: an hour is known at the latest 15 minutes after its publication."""


def fuel_mixes(region: str, source: FuelMixer, told: Iterable[Supply]) -> list[FuelMix]:
    """The events; none of an interval such as no grid has: nothing feeds in, or more than there is anywhere. Pure.

    Raises: ValueError where the source says what it must not.
    """
    found: list[FuelMix] = []
    for supply in told:
        start = supply.interval_start
        if start.tzinfo is None or start != begin_of(start.astimezone(UTC), source.interval_seconds):
            raise ValueError(f"{source.name} answered for {start.isoformat()}, which begins none of its intervals")
        powers_w = supply.power_w.values()
        if any(power_w > 0 for power_w in powers_w) and all(abs(power_w) <= LARGEST_POWER_W for power_w in powers_w):
            mix = FuelMix(
                region=region,
                source=source.name,
                interval_start=start,
                interval_seconds=source.interval_seconds,
                power_w=dict(supply.power_w),
            )
            found.append(mix)
    return found


@dataclass(slots=True)
class FuelFeed(SideFeed[FuelMix]):
    """The fuel mixes of one source."""

    what: ClassVar[str] = "its fuel mix"

    source: FuelMixer
    published: set[datetime] = field(default_factory=set)
    """Where the intervals begin that are."""
    left_out: int = 0
    """So many intervals of the last answer were."""

    @property
    def pause_seconds(self) -> float:
        return max(PAUSE_SECONDS, self.source.interval_seconds / POLLS_PER_INTERVAL)

    def questions(self, now: datetime) -> Iterable[Question[FuelMix]]:
        self.published = {start for start in self.published if start >= now - LOOK_BACK}
        return [partial(self._measured, now)]

    def keep(self, news: Sequence[FuelMix]) -> None:
        self.published |= {mix.interval_start for mix in news}

    async def _measured(self, now: datetime) -> list[FuelMix]:
        region = self.settings.region
        told = await self.source.fuel_mix(region, now - LOOK_BACK, now)
        mixes = fuel_mixes(region, self.source, told)
        left_out = len(told) - len(mixes)
        if left_out > self.left_out:
            text = "%s: the fuel mix of %d of %d intervals is such as no grid has, and left out"
            logger.warning(text, self.source.name, left_out, len(told))
        self.left_out = left_out
        return [mix for mix in mixes if mix.interval_start not in self.published]
