"""What the newest forecast expects of the day after a span, as it is shown. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from carbonshift.common.events import CarbonBasis, GridForecast
from carbonshift.explain.digest.happened import Range
from carbonshift.explain.digest.heard import MOST_G_PER_KWH, MOST_USD_PER_MWH, possible
from carbonshift.explain.digest.span import Span
from carbonshift.explain.digest.window import lowest_window
from carbonshift.explain.figures import duration, rounded

__all__ = ["Ahead", "Spike", "Spread", "ahead_of"]

DAY = timedelta(days=1)
WINDOW_SECONDS = 4 * 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The cheapest window, and the means of its quantiles in USD/MWh."""

    start: str
    end: str
    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """The likeliest price spike."""

    percent: float
    at: str
    threshold_usd_per_mwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """The outlook: p50 throughout, but for the spread of the window."""

    reach: str
    """How far beyond the span it looks, a day at most."""
    price: Range | None
    carbon: Range | None
    carbon_basis: CarbonBasis
    window: Spread | None
    """Of four hours, or of the whole reach where that is less."""
    spike: Spike | None
    published: str | None
    """For how long the price is known and no forecast."""
    degraded: bool

    def facts(self) -> dict[str, float | str | None]:
        """By name, flat."""
        price, carbon, window, spike = self.price, self.carbon, self.window, self.spike
        return {
            "ahead": self.reach,
            "ahead_lowest_price_usd_per_mwh": price.low if price else None,
            "ahead_lowest_price_at": price.low_at if price else None,
            "ahead_highest_price_usd_per_mwh": price.high if price else None,
            "ahead_highest_price_at": price.high_at if price else None,
            "ahead_lowest_carbon_g_per_kwh": carbon.low if carbon else None,
            "ahead_lowest_carbon_at": carbon.low_at if carbon else None,
            "ahead_highest_carbon_g_per_kwh": carbon.high if carbon else None,
            "ahead_highest_carbon_at": carbon.high_at if carbon else None,
            "ahead_carbon_basis": self.carbon_basis.value,
            "ahead_window_from": window.start if window else None,
            "ahead_window_to": window.end if window else None,
            "ahead_window_p10_usd_per_mwh": window.p10 if window else None,
            "ahead_window_p50_usd_per_mwh": window.p50 if window else None,
            "ahead_window_p90_usd_per_mwh": window.p90 if window else None,
            "ahead_spike_percent": spike.percent if spike else None,
            "ahead_spike_at": spike.at if spike else None,
            "ahead_spike_threshold_usd_per_mwh": spike.threshold_usd_per_mwh if spike else None,
            "ahead_published": self.published,
            "ahead_degraded": "yes" if self.degraded else "no",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    start: datetime
    end: datetime
    price: tuple[float, float, float] | None
    """p10, p50 and p90."""
    carbon: float | None
    spike: float | None
    published: bool


def ahead_of(span: Span, forecast: GridForecast | None) -> Ahead | None:
    """The steps that begin within a day after the span; None where there is no forecast of any."""
    steps = _steps(span, forecast) if forecast else []
    if forecast is None or not any(step.price or step.carbon is not None for step in steps):
        return None
    published = sum((step.end - step.start for step in steps if step.published), start=timedelta(0))
    return Ahead(
        reach=duration(steps[-1].end - span.end),
        price=_range([(step.start, step.price[1]) for step in steps if step.price], span),
        carbon=_range([(step.start, step.carbon) for step in steps if step.carbon is not None], span),
        carbon_basis=forecast.carbon_basis,
        window=_window(steps, span),
        spike=_spike(steps, forecast.spike_threshold_usd_per_mwh, span),
        published=duration(published) if published else None,
        degraded=forecast.degraded,
    )


def _steps(span: Span, forecast: GridForecast) -> list[_Step]:
    length, price = timedelta(seconds=forecast.step_seconds), forecast.price_usd_per_mwh
    quantiles = list(zip(price.p10, price.p50, price.p90, strict=False))
    first = -((forecast.origin - span.end) // length)  # the first that begins no earlier than the span ends
    count = -(-DAY // length)
    steps: list[_Step] = []
    for index in range(first, first + count):
        start = forecast.origin + index * length
        spread = quantiles[index] if index < len(quantiles) else None
        if spread and any(possible(value, MOST_USD_PER_MWH) is None for value in spread):
            spread = None
        carbon = _at(forecast.carbon_g_per_kwh.p50, index)
        chance = _at(forecast.spike_probability, index)
        if (spread is None and carbon is None) or start >= span.end + DAY:
            break
        steps.append(
            _Step(
                start=start,
                end=start + length,
                price=spread,
                carbon=possible(carbon, MOST_G_PER_KWH),
                spike=None if chance is None else min(max(chance, 0.0), 1.0),
                published=index < forecast.price_known_steps and spread is not None,
            )
        )
    return steps


def _at(values: Sequence[float], index: int) -> float | None:
    return values[index] if index < len(values) else None


def _range(values: Sequence[tuple[datetime, float]], span: Span) -> Range | None:
    if not values:
        return None
    low_at, low = min(values, key=lambda pair: pair[1])
    high_at, high = max(values, key=lambda pair: pair[1])
    shown_low, shown_high = rounded(low, high)
    return Range(low=shown_low, low_at=span.said(low_at), high=shown_high, high_at=span.said(high_at))


def _window(steps: Sequence[_Step], span: Span) -> Spread | None:
    priced = [step for step in steps if step.price]
    reach = sum((step.end - step.start).total_seconds() for step in priced)
    window = lowest_window(
        ((step.start, step.end, step.price[1] if step.price else None) for step in steps),
        min(WINDOW_SECONDS, reach) or WINDOW_SECONDS,
    )
    if window is None:
        return None
    within = [step.price for step in priced if step.price and window.start <= step.start < window.end]
    means = (sum(quantile) / len(within) for quantile in zip(*within, strict=True))  # steps are all of one length
    p10, p50, p90 = rounded(*means)
    return Spread(start=span.said(window.start), end=span.said(window.end), p10=p10, p50=p50, p90=p90)


def _spike(steps: Sequence[_Step], threshold_usd_per_mwh: float, span: Span) -> Spike | None:
    likely = [(step.spike, step.start) for step in steps if step.spike is not None and not step.published]
    if not likely or possible(threshold_usd_per_mwh, MOST_USD_PER_MWH) is None:
        return None
    chance, at = max(likely, key=lambda pair: pair[0])
    (threshold,) = rounded(threshold_usd_per_mwh)
    return Spike(percent=float(round(100 * chance)), at=span.said(at), threshold_usd_per_mwh=threshold)
