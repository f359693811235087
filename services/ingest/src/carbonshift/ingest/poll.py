"""Polls the sources on the clock of the world and publishes what is new, each interval in its turn."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from carbonshift.common.errors import InputError
from carbonshift.common.events import GridTick, Issue, Quality
from carbonshift.ingest.chain import KEPT, Chain, forget
from carbonshift.ingest.cleaning.clean import Clean, clean
from carbonshift.ingest.cleaning.frame import Frame
from carbonshift.ingest.interval import begin_of
from carbonshift.ingest.publish import Publisher
from carbonshift.ingest.reading import Reading
from carbonshift.ingest.settings import IngestSettings

__all__ = ["LOOK_BACK", "Feed", "changed", "check_steps"]

LOOK_BACK = timedelta(days=1)
"""What the integrity checks look back on."""
SHORTEST_SLEEP_SECONDS = 0.5
LATEST_INTERVALS = 12
LONGEST_USUAL_SECONDS = 1_800.0
"""What is always later than that is not waited for: its last value stands in."""
UNIT_JUMPS = frozenset({Issue.PRICE_UNIT_JUMP, Issue.CARBON_UNIT_JUMP})


def changed(
    ticks: Sequence[GridTick], published: dict[datetime, GridTick], now: datetime, wait_seconds: float
) -> list[GridTick]:
    """Those that say something new, oldest first: intervals not yet published, and corrections as the next revision.

    An interval waits for both of its values, at most `wait_seconds` beyond its end, unless a later one is complete:
    then it is published as it is, so that the order holds. Pure.
    """
    ready = max((number for number, tick in enumerate(ticks) if _ready(tick, now, wait_seconds)), default=-1)
    news: list[GridTick] = []
    for number, tick in enumerate(ticks):
        before = published.get(tick.interval_start)
        if before is None:
            if number <= ready:
                news.append(tick)
        elif _said(before) != _said(tick):
            news.append(tick.model_copy(update={"revision": before.revision + 1}))
    return news


def _ready(tick: GridTick, now: datetime, wait_seconds: float) -> bool:
    complete = tick.price_quality.is_told and tick.carbon_quality.is_told
    return complete or tick.interval_end + timedelta(seconds=wait_seconds) <= now


def _said(tick: GridTick) -> tuple[object, ...]:
    return (
        tick.price_usd_per_mwh,
        tick.price_quality,
        tick.carbon_g_per_kwh,
        tick.carbon_quality,
        tick.issues,
    )


def check_steps(price: Chain, carbon: Chain) -> None:
    """Raises: InputError where the intervals of the sources do not fit into one another."""
    step_seconds = min(price.interval_seconds, carbon.interval_seconds)
    for chain in (price, carbon):
        for source in chain.sources:
            if source.interval_seconds % step_seconds:
                raise InputError(
                    f"{source.name} has intervals of {source.interval_seconds} s beside {step_seconds} s",
                    "choose sources whose steps are multiples of one another",
                )


@dataclass(slots=True)
class Feed:
    """The live ticks of one region."""

    settings: IngestSettings
    price: Chain
    carbon: Chain
    publisher: Publisher
    clock: Callable[[], datetime]
    """The time in UTC."""
    published: dict[datetime, GridTick] = field(default_factory=dict)
    """The newest revision of every interval."""
    final_before: datetime | None = None
    """What lies before was told by other sources and stays as it is."""
    begun: datetime | None = None
    """The interval of the first poll: from there on each has a tick, whatever the sources say."""

    @property
    def interval_seconds(self) -> int:
        """Of the ticks."""
        return min(self.price.interval_seconds, self.carbon.interval_seconds)

    def resume(self, ticks: Iterable[GridTick]) -> None:
        """Go on behind what was published before."""
        newest = {tick.interval_start: tick for tick in sorted(ticks, key=lambda tick: tick.revision)}
        self.published = dict(sorted(newest.items()))
        self.final_before = max(
            (tick.interval_end for tick in self.published.values() if not self._is_ours(tick)), default=None
        )
        for tick in self.published.values():
            if self.final_before is not None and tick.interval_start < self.final_before:
                continue
            values = (
                (self.price, tick.price_usd_per_mwh, tick.price_quality, tick.price_source),
                (self.carbon, tick.carbon_g_per_kwh, tick.carbon_quality, tick.carbon_source),
            )
            for chain, value, quality, source in values:
                if quality.is_told:
                    chain.remember(Reading(tick.interval_start, value, quality is Quality.ESTIMATED), source)

    def _is_ours(self, tick: GridTick) -> bool:
        """Whether these sources could have told it: what others told is never told again in another way."""
        price, carbon = self.price.active, self.carbon.active
        return (
            tick.interval_seconds == self.interval_seconds
            and tick.price_market is price.price_market
            and tick.carbon_basis is carbon.carbon_basis
            and tick.price_source in {source.name for source in self.price.sources}
            and tick.carbon_source in {source.name for source in self.carbon.sources}
        )

    async def poll(self) -> list[GridTick]:
        """Ask what is due, publish what is new, and return it."""
        now = self.clock()
        self.begun = self.begun or self._begin(now)
        known = set[datetime]().union(*await asyncio.gather(self.price.ask(now), self.carbon.ask(now)))
        now = self.clock()
        if not known and now < self._waited_at(now):
            return []
        news = changed(self._ticks(now, known), self.published, now, self._wait_seconds())
        await self.publisher.publish(news)
        self.published |= {tick.interval_start: tick for tick in news}
        forget(self.published, now - KEPT)
        return news

    def due_at(self) -> datetime:
        """When to poll next: a source is due, or an interval has waited long enough."""
        now = self.clock()
        return min(self.price.due_at(now), self.carbon.due_at(now), self._waited_at(now))

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await self.poll()
            pause = (self.due_at() - self.clock()).total_seconds()
            await asyncio.sleep(max(SHORTEST_SLEEP_SECONDS, pause))

    def _waited_at(self, now: datetime) -> datetime:
        """When the next interval has waited long enough."""
        step = timedelta(seconds=self.interval_seconds)
        next_one = max(self.published) + step if self.published else self.begun or now
        return next_one + step + timedelta(seconds=self._wait_seconds())

    def _wait_seconds(self) -> float:
        """How long an interval waits beyond its end: as long as its sources usually take, within reason, and longer."""
        usual = max(self.price.usual_delay_seconds, self.carbon.usual_delay_seconds, 0.0)
        return min(usual, LONGEST_USUAL_SECONDS) + self.settings.wait_seconds

    def _begin(self, moment: datetime) -> datetime:
        return begin_of(moment, self.interval_seconds)

    def _ticks(self, now: datetime, known: set[datetime]) -> list[GridTick]:
        """Every interval that may have news: behind the newest published, and around what has come to be known."""
        step = timedelta(seconds=self.interval_seconds)
        behind = [moment for moment in (self.price.behind_from, self.carbon.behind_from) if moment]
        after = min([self._begin(now) + step, *(self._begin(moment) for moment in behind)])
        next_one = max(self.published) + step if self.published else after
        reach = timedelta(seconds=self.settings.interpolate_seconds) + LATEST_INTERVALS * step
        oldest = min(self.published) if self.published else min((*known, self.begun or after))
        first = self._begin(max(oldest, self.final_before or oldest, min((*known, next_one, after)) - reach))
        if first >= after:
            return []
        start = self._doubted_since(first) - LOOK_BACK
        judged = self._clean(start, (after - start) // step)
        return [
            self._with_sources(judged.tick(number, now))
            for number in range((first - start) // step, (after - start) // step)
        ]

    def _doubted_since(self, first: datetime) -> datetime:
        """Where the unit jump began that may still stand at `first`; else `first` itself."""
        step = timedelta(seconds=self.interval_seconds)
        since = at = first
        while (tick := self.published.get(at - step)) is not None:
            at -= step
            if not UNIT_JUMPS.isdisjoint(tick.issues):
                since = at
            elif Quality.MISSING not in {tick.price_quality, tick.carbon_quality}:
                break
        return since

    def _clean(self, start: datetime, count: int) -> Clean:
        seconds = self.interval_seconds
        return clean(
            Frame(
                region=self.settings.region,
                interval_seconds=seconds,
                price_seconds=self.price.longest_interval_seconds,
                carbon_seconds=self.carbon.longest_interval_seconds,
                carbon_basis=self.carbon.active.carbon_basis,
                price_market=self.price.active.price_market,
                price_source=self.price.active.name,
                carbon_source=self.carbon.active.name,
            ),
            self.settings.patience(),
            start,
            self.price.series(start, count, seconds),
            self.carbon.series(start, count, seconds),
            self.price.witness(start, count, seconds),
            self.carbon.witness(start, count, seconds),
        )

    def _with_sources(self, tick: GridTick) -> GridTick:
        sources = {
            "price_source": self.price.source_at(tick.interval_start),
            "carbon_source": self.carbon.source_at(tick.interval_start),
        }
        return tick.model_copy(update=sources)
