"""Every history that decide follows: today's grid and each replay of a region are worlds of their own."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from carbonshift.common.events import DayAheadPrices, GridForecast, GridTick
from carbonshift.common.events.replay import mark
from carbonshift.decide.machine import RegionMemory
from carbonshift.decide.planning.outlook import Outlook
from carbonshift.decide.planning.seasonal import DAY_SECONDS, Clock

__all__ = ["Histories", "Past"]

log = logging.getLogger(__name__)

REPLAYS_KEPT = 4
"""Of each region; the one not heard of for longest goes first. Today's grid never does."""


@dataclass(slots=True, kw_only=True)
class Past:
    """What one history has come to; changed in place, and nothing heard twice changes it."""

    region: str
    mark: str
    """Of the replay; empty for today's grid."""
    memory: RegionMemory = field(default_factory=RegionMemory)
    outlook: Outlook | None = None
    """None before the first tick, and where its steps make no day: then there is no plan."""
    early: list[DayAheadPrices] = field(default_factory=list)
    """Published before the first tick, which says in which steps to think."""
    odd: tuple[tuple[int, str], datetime] | None = None
    """Steps and beginning of the newest tick where it was the first in other steps."""
    put_aside_day: int | None = None
    """`day` when the last snapshot was taken; None before the first."""

    @property
    def key(self) -> str:
        """A name of its own."""
        return f"{self.region}{self.mark}"

    def hear(self, event: GridTick | DayAheadPrices, time_zone: str) -> None:
        """Tell it to the outlook: ticks and published prices in the order in which they come."""
        if isinstance(event, DayAheadPrices):
            if self.outlook is None:
                self.early.append(event)
            else:
                self.outlook.hear_published(event)
            return
        if self._is_odd(event, time_zone):
            return
        if DAY_SECONDS % event.interval_seconds:
            self.outlook = None
            self.early.clear()
            return
        clock = Clock(step_seconds=event.interval_seconds, time_zone=time_zone)
        if self.outlook is None or self.outlook.clock != clock:
            self.outlook = Outlook(clock)
            early, self.early = self.early, []
            for published in early:
                self.outlook.hear_published(published)
        self.outlook.hear(event)

    def _is_odd(self, tick: GridTick, time_zone: str) -> bool:
        """Whether `tick` is the first in other steps than those before: one alone does not end what has been learnt."""
        before, self.odd = self.odd, None
        if self.outlook is None:
            return False
        clock = self.outlook.clock
        steps = tick.interval_seconds, time_zone
        if steps == (clock.step_seconds, clock.time_zone):
            return False
        if before is not None and before[0] == steps and before[1] < tick.interval_start:
            log.warning("%s comes in steps of %d s from now on: its outlook begins anew", self.key, steps[0])
            return False
        log.warning("%s is in steps of %d s, those before it in %d s", tick.id, steps[0], clock.step_seconds)
        self.odd = steps, tick.interval_start
        return True

    @property
    def day(self) -> int | None:
        """Number of the UTC day at the end of the newest interval decided; None before the first."""
        state = self.memory.state
        if state is None:
            return None
        return (int(state.interval_start.timestamp()) + state.interval_seconds) // DAY_SECONDS

    @property
    def falls_due(self) -> bool:
        """Whether a snapshot is to be taken: at the beginning, and once a day of event time."""
        return self.put_aside_day is None or self.day != self.put_aside_day


class Histories:
    """One Past a history."""

    def __init__(self) -> None:
        self._pasts: dict[str, Past] = {}

    def of(self, event: GridTick | DayAheadPrices) -> Past:
        """The past of the history that `event` belongs to; an empty one for a new history."""
        new = Past(region=event.region, mark=mark(event.replay))
        past = self._pasts.get(new.key, new)
        self.keep(past)
        return past

    def known(self, forecast: GridForecast) -> Past | None:
        """The past of the history that `forecast` is of; None where none is followed."""
        return self._pasts.get(f"{forecast.region}{mark(forecast.replay)}")

    def keep(self, past: Past) -> None:
        """Make it the one heard of last."""
        self._pasts.pop(past.key, None)
        self._pasts[past.key] = past

    def forget_old(self, region: str) -> list[str]:
        """Drop the replays of the region that are too many; their keys."""
        replays = [key for key, past in self._pasts.items() if past.region == region and past.mark]
        gone = replays[:-REPLAYS_KEPT]
        for key in gone:
            del self._pasts[key]
        return gone

    def __iter__(self) -> Iterator[str]:
        return iter(self._pasts)
