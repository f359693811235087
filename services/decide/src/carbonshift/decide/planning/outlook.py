"""What a region's coming days will cost and emit, as far as its ticks and the published day-ahead prices tell."""

import io
import logging
import zipfile
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import CarbonBasis, DayAheadPrices, GridForecast, GridTick, PriceMarket
from carbonshift.decide.planning.errors import UnplannableError
from carbonshift.decide.planning.seasonal import DAY_SECONDS, Clock, Seasonal
from carbonshift.decide.planning.second_opinion import SecondOpinion

__all__ = ["Ahead", "Outlook"]

Floats = NDArray[np.float64]

log = logging.getLogger(__name__)

PRICE_SCALE_USD_PER_MWH = 60.0
VOLATILE_PRICE_SCALE_USD_PER_MWH = 20.0
"""Of markets that clear within the hour: there an ordinary day has hundredfold prices."""
CARBON_SCALE_G_PER_KWH = 50.0
VOLATILE_CARBON_SCALE_G_PER_KWH = 1_000.0
"""A marginal intensity jumps between a few plants' and zero: there it counts as it is."""
VOLATILE_BELOW_SECONDS = 900
NODES = np.array((-1.3998, -0.5319, 0.0, 0.5319, 1.3998))
"""Means of the fifths of a normal distribution: what a price may be within an hour, for whoever can wait for it."""
ONE_NODE = np.zeros(1)
PUBLISHED_SECONDS = 7 * DAY_SECONDS
"""A signal that is told more of its future forgets its present."""


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """What is known of the present interval and expected of the stages after it; no NaN."""

    price_now_usd_per_mwh: float
    carbon_now_g_per_kwh: float
    prices_usd_per_mwh: Floats
    """Shape (stages, nodes): equally likely prices of each stage; known ones are the same in every node."""
    carbon_g_per_kwh: Floats
    """Shape (stages,)."""

    def later(self, steps: int, stage_steps: int) -> "Ahead":
        """As it looks so many steps later, if nothing more were heard: the first of them is expected, not known.

        Args:
            steps: how many.
            stage_steps: of how many a stage is.
        """
        if steps <= 0:
            return self
        stages = self.carbon_g_per_kwh.size
        present = min((steps - 1) // stage_steps, stages - 1)
        middles = steps + stage_steps * np.arange(stages) + stage_steps // 2
        at = np.minimum(middles // stage_steps, stages - 1)
        return Ahead(
            price_now_usd_per_mwh=float(self.prices_usd_per_mwh[present].mean()),
            carbon_now_g_per_kwh=float(self.carbon_g_per_kwh[present]),
            prices_usd_per_mwh=self.prices_usd_per_mwh[at],
            carbon_g_per_kwh=self.carbon_g_per_kwh[at],
        )


class Outlook:
    """One region, event by event: `hear` ticks and published prices in the order they come, then look `ahead`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        volatile = clock.step_seconds < VOLATILE_BELOW_SECONDS
        self._price_scale = VOLATILE_PRICE_SCALE_USD_PER_MWH if volatile else PRICE_SCALE_USD_PER_MWH
        self._carbon_scale = VOLATILE_CARBON_SCALE_G_PER_KWH if volatile else CARBON_SCALE_G_PER_KWH
        self._nodes = NODES if clock.stage > 1 else ONE_NODE
        self._market: PriceMarket | None = None
        self._basis: CarbonBasis | None = None
        self._price = self._new_price()
        self._carbon = self._new_carbon()
        self._opinion = SecondOpinion(clock)
        self._early: list[DayAheadPrices] = []
        self._now = 0
        self.heard_ticks = 0

    @property
    def nodes(self) -> int:
        """How many equally likely prices a stage has."""
        return int(self._nodes.size)

    def _new_price(self) -> Seasonal:
        return Seasonal(self.clock, self._price_scale, scarcity=True)

    def _new_carbon(self) -> Seasonal:
        return Seasonal(self.clock, self._carbon_scale, scarcity=False)

    def hear(self, tick: GridTick) -> None:
        """Take a tick in; one that is not newer than the newest changes nothing.

        Of another market, or of another carbon basis, than before: what was heard of that signal is forgotten.
        """
        start = int(tick.interval_start.timestamp())
        if start <= self._now:
            return
        if (tick.price_market, tick.carbon_basis) != (self._market, self._basis):
            self._opinion = SecondOpinion(self.clock)  # what is believed of another signal is not believed of this one
        if tick.price_market is not self._market:
            self._price, self._market = self._new_price(), tick.price_market
        if tick.carbon_basis is not self._basis:
            self._carbon, self._basis = self._new_carbon(), tick.carbon_basis
        self._now = start
        self.heard_ticks += 1
        price, carbon = tick.sound_price_usd_per_mwh, tick.sound_carbon_g_per_kwh
        self._hear_early()
        self._price.hear(start, price)
        self._hear_early()
        self._carbon.hear(start, carbon)
        self._opinion.settle(start, (price, carbon))

    def hear_published(self, published: DayAheadPrices) -> None:
        """Take the prices of coming hours in: known, not expected. In a real-time market they are another price.

        Those of later hours wait until the hours before them have a price: nobody knows what these cost. Those of more
        than `PUBLISHED_SECONDS` after the newest tick are of a wrong date. Finer ones than the steps are averaged.
        """
        first = int(published.first_interval_start.timestamp())
        step, newest = self.clock.step_seconds, self._price.newest
        if self._market is None or first > (self._now if newest is None else newest + step):
            if first <= self._now + PUBLISHED_SECONDS or self._market is None:
                self._early.append(published)
            return
        if self._market is PriceMarket.REAL_TIME:
            return
        prices, theirs = _in_steps(published, step)
        if not prices:
            log.warning("prices of %s in steps of %d s are of no use in steps of %d s", published.region, theirs, step)
        for number, price in enumerate(prices):
            for start in range(first + number * theirs, first + (number + 1) * theirs, step):
                if start <= self._now + PUBLISHED_SECONDS:
                    self._price.hear(start, price)

    def _hear_early(self) -> None:
        early, self._early = self._early, []
        for published in early:
            self.hear_published(published)

    def hear_forecast(self, forecast: GridForecast) -> None:
        """Take the forecast of somebody else in: believed where it has come nearer than the expectations here."""
        if forecast.carbon_basis is not self._basis or self._price.newest is None or self._carbon.newest is None:
            return
        prices, _ = self._prices(ONE_NODE, self._price.newest)
        self._opinion.hear(forecast, (prices[:, 0], self._carbon.expect(ONE_NODE)[:, 0]), self._now)

    def ahead(self) -> Ahead | None:
        """What is known and expected after the newest tick; None while a signal has not said anything yet."""
        price_newest, carbon_newest = self._price.newest, self._carbon.newest
        if price_newest is None or carbon_newest is None:
            return None
        now = np.array([self._now], dtype=np.int64)
        prices, known = self._prices(self._nodes, price_newest)
        carbon = self._carbon.expect(ONE_NODE)[:, 0]
        self._opinion.improve(prices, carbon, self._nodes, self._now, known)
        return Ahead(
            price_now_usd_per_mwh=float(self._price.value_at(now)[0]),
            carbon_now_g_per_kwh=max(float(self._carbon.value_at(now)[0]), 0.0),
            prices_usd_per_mwh=prices,
            carbon_g_per_kwh=np.maximum(carbon, 0.0),
        )

    def _prices(self, nodes: Floats, newest: int) -> tuple[Floats, int]:
        """Of each stage after the newest tick, shape (stages, nodes), and how many of them are known."""
        step, stage = self.clock.step_seconds, self.clock.stage
        prices, known_steps = self._price.expect(nodes), (newest - self._now) // step
        if known_steps <= 0:
            return prices, 0
        whole = known_steps // stage
        starts = self._now + step * np.arange(1, whole * stage + 1, dtype=np.int64)
        known = self._price.value_at(starts).reshape(whole, stage).mean(axis=1)
        expected = np.arange(1, self.clock.stages - whole + 1) * stage - known_steps % stage
        later = prices[-(-expected // stage) - 1]
        spliced = np.concatenate((np.repeat(known[:, None], nodes.size, axis=1), later))[: self.clock.stages]
        return spliced, min(whole, self.clock.stages)

    def to_bytes(self) -> bytes:
        """Everything it knows, for `restored`."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("price", self._price.to_bytes())
            archive.writestr("carbon", self._carbon.to_bytes())
            for published in self._early:
                archive.writestr(f"early/{published.id}", published.model_dump_json())
            heard = (
                self._now,
                self.heard_ticks,
                self._market or "-",
                self._basis or "-",
                self.clock.step_seconds,
                self.clock.time_zone,
            )
            archive.writestr("heard", " ".join(map(str, heard)))
        return buffer.getvalue()

    @classmethod
    def restored(cls, content: bytes) -> Self:
        """The very outlook that `to_bytes` was called on.

        Raises: ValueError where `content` is not of one.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                now, ticks, market, basis, step_seconds, time_zone = archive.read("heard").decode().split()
                outlook = cls(Clock(step_seconds=int(step_seconds), time_zone=time_zone))
                outlook._price.restore(archive.read("price"))
                outlook._carbon.restore(archive.read("carbon"))
                early = [name for name in archive.namelist() if name.startswith("early/")]
                outlook._early = [DayAheadPrices.model_validate_json(archive.read(name)) for name in early]
        except (zipfile.BadZipFile, KeyError, UnplannableError) as error:
            raise ValueError(f"not an outlook: {error}") from error
        outlook._now, outlook.heard_ticks = int(now), int(ticks)
        outlook._market = None if market == "-" else PriceMarket(market)
        outlook._basis = None if basis == "-" else CarbonBasis(basis)
        return outlook


def _in_steps(published: DayAheadPrices, step_seconds: int) -> tuple[tuple[float | None, ...], int]:
    """The prices and their steps, which hold whole steps of `step_seconds`; finer ones averaged, others none."""
    theirs = published.step_seconds
    if theirs >= step_seconds:
        return () if theirs % step_seconds else published.prices_usd_per_mwh, theirs
    if step_seconds % theirs:
        return (), theirs
    each = step_seconds // theirs
    finer = np.array(published.prices_usd_per_mwh, dtype=np.float64)
    means = finer[: finer.size // each * each].reshape(-1, each).mean(axis=1)
    return tuple(None if np.isnan(mean) else float(mean) for mean in means), step_seconds
