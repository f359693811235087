"""Eco-Pulse: price and carbon against their own recent past, with hard limits, hysteresis and a dwell."""

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

from carbonshift.common.events import GridState, GridTick, Pulse, Quality
from carbonshift.decide.errors import FlatSignalError
from carbonshift.decide.history import History
from carbonshift.decide.norm import Spread, robust_norm, spread_of
from carbonshift.decide.policy import Verdict
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.trust import doubts

__all__ = ["EcoPulse"]

FEWEST_VALUES = 2
WARM_SHARE = 0.5
"""Of the warm-up: so much of it each signal has to have told, lest a few values after a gap pass for its past."""


class EcoPulse:
    """score = alpha x price_norm + beta x carbon_norm; low is GREEN, high is RED, between them AMBER."""

    name: ClassVar[str] = "eco-pulse"

    def __init__(self, settings: DecideSettings) -> None:
        self._settings = settings
        self._band = settings.band()

    def judge(self, history: History, tick: GridTick, previous: GridState | None) -> Verdict:
        """Hard limits before all else; then whether the signals can be trusted; then the score."""
        critical = tuple(self._critical(tick))
        untrusted = tuple(doubts(tick))
        warm = self._warm(history, tick)
        spreads = self._spreads(history) if warm else None
        if spreads is not None and not untrusted:
            return self._scored(tick, previous, spreads, critical)
        if critical:
            return self._verdict(Pulse.RED, critical)
        if untrusted:
            return self._verdict(Pulse.UNKNOWN, untrusted)
        if not warm:
            return self._verdict(Pulse.AMBER, ("warming_up",))
        return self._verdict(Pulse.UNKNOWN, ("signal_flat",))

    def _critical(self, tick: GridTick) -> Iterator[str]:
        price, carbon = tick.sound_price_usd_per_mwh, tick.sound_carbon_g_per_kwh
        if price is not None and price >= self._settings.critical_price_usd_per_mwh:
            yield "price_critical"
        if carbon is not None and carbon >= self._settings.critical_carbon_g_per_kwh:
            yield "carbon_critical"

    def _warm(self, history: History, tick: GridTick) -> bool:
        """Whether there is history enough, and both signals tell of it."""
        told = min(history.sorted_prices.size, history.sorted_carbon.size)
        warm_up_seconds = self._settings.warm_up_seconds
        enough = told * tick.interval_seconds >= WARM_SHARE * warm_up_seconds
        return enough and history.span_seconds() >= warm_up_seconds

    def _spreads(self, history: History) -> tuple[Spread, Spread] | None:
        """Of price and of carbon; None while a signal is flat."""
        prices, carbon = history.sorted_prices, history.sorted_carbon
        if min(prices.size, carbon.size) < FEWEST_VALUES:
            return None
        try:
            return spread_of(prices, self._band), spread_of(carbon, self._band)
        except FlatSignalError:
            return None

    def _scored(
        self, tick: GridTick, previous: GridState | None, spreads: tuple[Spread, Spread], critical: tuple[str, ...]
    ) -> Verdict:
        price, carbon = tick.price_usd_per_mwh, tick.carbon_g_per_kwh
        assert price is not None  # noqa: S101  # a tick without either is untrusted
        assert carbon is not None  # noqa: S101
        settings = self._settings
        price_norm, carbon_norm = robust_norm(price, spreads[0]), robust_norm(carbon, spreads[1])
        score = settings.alpha * price_norm + settings.beta * carbon_norm
        optimal_price = settings.optimal_price_usd_per_mwh
        optimal_carbon = settings.optimal_carbon_g_per_kwh
        optimal_price = spreads[0].optimal if optimal_price is None else optimal_price
        optimal_carbon = spreads[1].optimal if optimal_carbon is None else optimal_carbon
        above = tuple(
            code
            for code, value, optimal in (
                ("price_above_optimal", price, optimal_price),
                ("carbon_above_optimal", carbon, optimal_carbon),
            )
            if value > optimal
        )
        if critical:
            state, reasons = Pulse.RED, critical
        else:
            state, reasons = self._settled(*self._by_score(score, above, previous), tick, previous)
            if state is Pulse.GREEN and Quality.HELD in {tick.price_quality, tick.carbon_quality}:
                state, reasons = _not_entered(reasons, previous)
        return Verdict(
            state=state,
            reasons=reasons,
            score=min(score, 1.0),
            price_norm=price_norm,
            carbon_norm=carbon_norm,
            price_spread=spreads[0],
            carbon_spread=spreads[1],
            thresholds=self._thresholds()
            | {"optimal_price_usd_per_mwh": optimal_price, "optimal_carbon_g_per_kwh": optimal_carbon},
        )

    def _by_score(
        self, score: float, above: tuple[str, ...], previous: GridState | None
    ) -> tuple[Pulse, tuple[str, ...]]:
        """The state by the score alone; whoever is in GREEN or RED leaves it a little later than it was entered."""
        was = previous.state if previous else None
        slack = self._settings.hysteresis_score
        if score >= self._settings.red_score:
            return Pulse.RED, ("score_high",)
        if was is Pulse.RED and score >= self._settings.red_score - slack:
            return Pulse.RED, ("hysteresis", "score_middle")
        if not above and score <= self._settings.green_score:
            return Pulse.GREEN, ("score_low",)
        if not above and was is Pulse.GREEN and score <= self._settings.green_score + slack:
            return Pulse.GREEN, ("hysteresis", "score_middle")
        return Pulse.AMBER, (*above, "score_low" if score <= self._settings.green_score else "score_middle")

    def _settled(
        self, state: Pulse, reasons: tuple[str, ...], tick: GridTick, previous: GridState | None
    ) -> tuple[Pulse, tuple[str, ...]]:
        """The state before, until it has lasted the dwell."""
        if previous is None or previous.state in {state, Pulse.UNKNOWN} or "warming_up" in previous.reasons:
            return state, reasons
        if tick.interval_start - previous.since < timedelta(seconds=self._settings.dwell_seconds):
            return previous.state, ("dwell", *reasons)
        return state, reasons

    def _verdict(self, state: Pulse, reasons: tuple[str, ...]) -> Verdict:
        return Verdict(state=state, reasons=reasons, thresholds=self._thresholds())

    def _thresholds(self) -> dict[str, float]:
        names = (
            "critical_price_usd_per_mwh",
            "critical_carbon_g_per_kwh",
            "green_score",
            "red_score",
            "hysteresis_score",
            "dwell_seconds",
            "alpha",
            "beta",
        )
        return {name: float(getattr(self._settings, name)) for name in names}


def _not_entered(reasons: tuple[str, ...], previous: GridState | None) -> tuple[Pulse, tuple[str, ...]]:
    """GREEN may go on over a value that is held, but does not begin on one."""
    if previous is not None and previous.state is Pulse.GREEN:
        return Pulse.GREEN, reasons
    return Pulse.AMBER, ("signal_held", *reasons)
