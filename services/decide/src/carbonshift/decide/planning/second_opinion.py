"""Another forecast, believed signal by signal while it comes nearer than the outlook's own. Pure."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import GridForecast
from carbonshift.decide.planning.seasonal import Clock

__all__ = ["SecondOpinion"]

Floats = NDArray[np.float64]

SIGNALS = PRICE, CARBON = range(2)
WEIGHT = 0.1
"""Of the newest comparison in the mean errors."""
FEWEST_COMPARISONS = 6
"""Before any of it is believed: of four hours each that is a day."""
Z_OF_P90 = 1.2816
"""Standard deviations of a normal distribution up to its 90 % quantile."""


@dataclass(slots=True, kw_only=True)
class _Comparison:
    """What both have said of some stages, and what comes of them; shape (2, stages) each."""

    origin: int
    theirs: Floats
    own: Floats
    sums: Floats = field(init=False)
    counts: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.sums, self.counts = np.zeros_like(self.own), np.zeros_like(self.own)


class SecondOpinion:
    """Of one outlook. Not put aside with it: after a restart it has to earn its trust anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stage_seconds = clock.stage * clock.step_seconds
        self._forecast: GridForecast | None = None
        self._comparison: _Comparison | None = None
        self._errors = np.zeros((2, 2))
        """Mean absolute errors, theirs and the outlook's, of each signal."""
        self._comparisons = 0

    def hear(self, forecast: GridForecast, own: tuple[Floats, Floats], now: int) -> None:
        """Take a forecast in; a degraded one, or one in other steps, counts as none.

        Args:
            forecast: of the region and the history of the outlook.
            own: the outlook's typical prices and carbon intensities of the coming stages, shape (stages,) each.
            now: unix seconds at the start of the newest interval heard.
        """
        fits = not forecast.degraded and self._stage_seconds % forecast.step_seconds == 0
        self._forecast = forecast if fits else None
        if self._comparison is not None or not fits:
            return
        theirs = [self._stages(signal, 0.0, now) for signal in SIGNALS]
        count = min(theirs[PRICE].size, own[PRICE].size)
        if count:
            self._comparison = _Comparison(
                origin=now + self._clock.step_seconds,
                theirs=np.array([one[:count] for one in theirs]),
                own=np.array([one[:count] for one in own]),
            )

    def settle(self, start: int, values: tuple[float | None, float | None]) -> None:
        """Compare with what has come: price and carbon intensity of the interval at `start`, None where not known."""
        comparison = self._comparison
        if comparison is None:
            return
        stages = comparison.own.shape[1]
        at = (start - comparison.origin) // self._stage_seconds
        if 0 <= at < stages:
            for signal, value in enumerate(values):
                if value is not None:
                    comparison.sums[signal, at] += value
                    comparison.counts[signal, at] += 1
        if start + self._clock.step_seconds >= comparison.origin + stages * self._stage_seconds:
            self._comparison = None
            self._learn(comparison)

    def _learn(self, comparison: _Comparison) -> None:
        known = comparison.counts > 0
        if not known.any(axis=1).all():
            return
        came = comparison.sums / np.maximum(comparison.counts, 1)
        for who, said in enumerate((comparison.theirs, comparison.own)):
            missed = np.where(known, np.abs(said - came), 0.0).sum(axis=1) / known.sum(axis=1)
            weight = WEIGHT if self._comparisons else 1.0
            self._errors[who] += weight * (missed - self._errors[who])
        self._comparisons += 1

    def improve(self, prices: Floats, carbon: Floats, nodes: Floats, now: int, known: int) -> None:
        """Put what is believed in the place of the first stages, but for prices that are known.

        Args:
            prices: shape (stages, nodes), changed in place.
            carbon: shape (stages,), changed in place.
            nodes: where the nodes lie, in standard deviations.
            now: unix seconds at the start of the newest interval heard.
            known: how many stages have published prices.
        """
        if self._comparisons < FEWEST_COMPARISONS:
            return
        believed = self._errors[0] < self._errors[1]
        if believed[PRICE]:
            for number, z in enumerate(nodes):
                theirs = self._stages(PRICE, float(z) / Z_OF_P90, now)[: prices.shape[0]]
                prices[known : theirs.size, number] = theirs[known:]
        if believed[CARBON]:
            theirs = self._stages(CARBON, 0.0, now)[: carbon.size]
            carbon[: theirs.size] = np.maximum(theirs, 0.0)

    def _stages(self, signal: int, tilt: float, now: int) -> Floats:
        """Means of whole stages after the interval at `now`, from p10 (tilt -1) over p50 (0) to p90 (1) and beyond."""
        forecast = self._forecast
        nothing = np.empty(0)
        if forecast is None:
            return nothing
        ends = now + self._clock.step_seconds
        behind, odd = divmod(ends - int(forecast.origin.timestamp()), forecast.step_seconds)
        if odd or not 0 <= behind * forecast.step_seconds <= self._stage_seconds:
            return nothing  # older than a stage, or of what is not yet heard
        quantiles = forecast.price_usd_per_mwh if signal == PRICE else forecast.carbon_g_per_kwh
        middle = np.array(quantiles.p50)
        edge = np.array(quantiles.p90 if tilt > 0 else quantiles.p10)
        values = (middle + abs(tilt) * (edge - middle))[behind:]
        steps = self._stage_seconds // forecast.step_seconds
        whole: Floats = values[: values.size // steps * steps].reshape(-1, steps).mean(axis=1)
        return whole
