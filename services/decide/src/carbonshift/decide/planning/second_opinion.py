"""Another forecast, believed for each signal, near and far, while it comes nearer than the outlook's own. Pure."""

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
"""Before any of it is believed: one begins every four hours, so near by it takes a day."""
NEAR_SECONDS = 4 * 3_600
FAR_SECONDS = 24 * 3_600
SPANS = NEAR, FAR = range(2)
"""How good it is in the next four hours says little of how good it is in the twenty after them."""
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
    learned: int = 0
    """How many spans of it have been learned from."""

    def __post_init__(self) -> None:
        self.sums, self.counts = np.zeros_like(self.own), np.zeros_like(self.own)


class SecondOpinion:
    """Of one outlook. Not put aside with it: after a restart it has to earn its trust anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stage_seconds = clock.stage * clock.step_seconds
        self._near = max(1, NEAR_SECONDS // self._stage_seconds)
        self._far = max(self._near, FAR_SECONDS // self._stage_seconds)
        self._forecast: GridForecast | None = None
        self._running: list[_Comparison] = []
        self._errors = np.zeros((2, len(SIGNALS), len(SPANS)))
        """Mean absolute errors, theirs and the outlook's, of each signal in each span."""
        self._comparisons = np.zeros((len(SIGNALS), len(SPANS)), dtype=np.int64)

    def hear(self, forecast: GridForecast, own: tuple[Floats, Floats], now: int) -> None:
        """Take a forecast in; a degraded one, or one in other steps, counts as none.

        Args:
            forecast: of the region and the history of the outlook.
            own: the outlook's typical prices and carbon intensities of the coming stages, shape (stages,) each.
            now: unix seconds at the start of the newest interval heard.
        """
        fits = not forecast.degraded and self._stage_seconds % forecast.step_seconds == 0
        self._forecast = forecast if fits else None
        origin = now + self._clock.step_seconds
        if not fits or (self._running and origin < self._running[-1].origin + self._near * self._stage_seconds):
            return
        theirs = [self._stages(signal, 0.0, now) for signal in SIGNALS]
        count = min(theirs[PRICE].size, own[PRICE].size, self._far)
        if count:
            self._running.append(
                _Comparison(
                    origin=origin,
                    theirs=np.array([one[:count] for one in theirs]),
                    own=np.array([one[:count] for one in own]),
                )
            )

    def settle(self, start: int, values: tuple[float | None, float | None]) -> None:
        """Compare with what has come: price and carbon intensity of the interval at `start`, None where not known."""
        for comparison in self._running:
            stages = comparison.own.shape[1]
            at = (start - comparison.origin) // self._stage_seconds
            if 0 <= at < stages:
                for signal, value in enumerate(values):
                    if value is not None:
                        comparison.sums[signal, at] += value
                        comparison.counts[signal, at] += 1
            ends = start + self._clock.step_seconds
            for span, until in enumerate((min(self._near, stages), stages)):
                if comparison.learned == span and ends >= comparison.origin + until * self._stage_seconds:
                    comparison.learned += 1
                    self._learn(comparison, span, slice(self._near if span == FAR else 0, until))
        self._running = [comparison for comparison in self._running if comparison.learned < len(SPANS)]

    def _learn(self, comparison: _Comparison, span: int, which: slice) -> None:
        for signal in SIGNALS:
            known = comparison.counts[signal, which] > 0
            if not known.any():
                continue
            came = comparison.sums[signal, which][known] / comparison.counts[signal, which][known]
            weight = WEIGHT if self._comparisons[signal, span] else 1.0
            for who, said in enumerate((comparison.theirs, comparison.own)):
                missed = float(np.abs(said[signal, which][known] - came).mean())
                self._errors[who, signal, span] += weight * (missed - self._errors[who, signal, span])
            self._comparisons[signal, span] += 1

    def improve(self, prices: Floats, carbon: Floats, nodes: Floats, now: int, known: int) -> None:
        """Put what is believed in the place of the first stages, but for prices that are known.

        Args:
            prices: shape (stages, nodes), changed in place.
            carbon: shape (stages,), changed in place.
            nodes: where the nodes lie, in standard deviations.
            now: unix seconds at the start of the newest interval heard.
            known: how many stages have published prices.
        """
        for span, (since, until) in enumerate(((0, self._near), (self._near, self._far))):
            nearer = self._errors[0, :, span] < self._errors[1, :, span]
            believed = nearer & (self._comparisons[:, span] >= FEWEST_COMPARISONS)
            if believed[PRICE]:
                for number, z in enumerate(nodes):
                    theirs = self._stages(PRICE, float(z) / Z_OF_P90, now)[: min(until, prices.shape[0])]
                    first = max(known, since)
                    prices[first : theirs.size, number] = theirs[first:]
            if believed[CARBON]:
                theirs = self._stages(CARBON, 0.0, now)[: min(until, carbon.size)]
                carbon[since : theirs.size] = np.maximum(theirs[since:], 0.0)

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
