"""What decide has decided of each region, for Prometheus."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge

from carbonshift.common.bounded_label import BoundedLabel
from carbonshift.common.events import Event, GridState, GridTick, Pulse, Replay, ResumeToken
from carbonshift.common.events.replay import mark

__all__ = ["DecideMetrics"]

REGION = ("region", "clock")
"""`clock` is `wall`, or `replay`. Beyond 64 regions they share one series, in which the latest stands."""


def utc_now() -> datetime:
    """The time of the world."""
    return datetime.now(UTC)


class DecideMetrics:
    """Registers in `registry`, and keeps what is noted; a value that is not known has no series."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], datetime] = utc_now) -> None:
        """Nothing noted yet; `clock` tells the time in UTC."""
        self._clock = clock
        self._region = BoundedLabel()
        self._newest: dict[tuple[str, str], tuple[str, datetime]] = {}
        self._states = Counter("carbonshift_decide_ticks_total", "Ticks decided.", REGION, registry=registry)
        self._state = Gauge(
            "carbonshift_decide_state", "1 for the state that is in force.", (*REGION, "state"), registry=registry
        )
        self._score = Gauge(
            "carbonshift_decide_score", "0 the best of the trailing window, 1 the worst.", REGION, registry=registry
        )
        self._price = Gauge(
            "carbonshift_decide_price_usd_per_mwh", "Price of the newest interval.", REGION, registry=registry
        )
        self._carbon = Gauge(
            "carbonshift_decide_carbon_g_per_kwh",
            "Carbon intensity of the newest interval.",
            (*REGION, "basis"),
            registry=registry,
        )
        self._lag = Gauge(
            "carbonshift_decide_tick_lag_seconds",
            "From the end of the newest live interval that is decided until now.",
            ("region",),
            registry=registry,
        )
        self._tokens = Counter(
            "carbonshift_decide_tokens_total", "Resume tokens handed out.", ("site", "clock"), registry=registry
        )

    def note(self, event: Event) -> None:
        """An event has been stored."""
        if isinstance(event, GridState):
            labels = self._of(event.region, event.replay)
            self._states.labels(*labels).inc()
            _set(self._score, labels, event.score)
            for state in Pulse:
                self._state.labels(*labels, state).set(state is event.state)
        elif isinstance(event, ResumeToken):
            self._tokens.labels(event.site, _clock(event.replay)).inc()

    def decided(self, tick: GridTick) -> None:
        """A tick has been decided, or was already: a correction of the past changes nothing here."""
        labels = region, clock = self._of(tick.region, tick.replay)
        run, newest = self._newest.get(labels, ("", tick.interval_end))
        if run == mark(tick.replay) and tick.interval_end < newest:
            return
        if clock == "wall" and labels not in self._newest:
            self._lag.labels(region).set_function(lambda: self._lag_seconds(labels))
        self._newest[labels] = mark(tick.replay), tick.interval_end
        _set(self._price, labels, tick.price_usd_per_mwh)
        _set(self._carbon, (*labels, tick.carbon_basis), tick.carbon_g_per_kwh)

    def _lag_seconds(self, labels: tuple[str, str]) -> float:
        return (self._clock() - self._newest[labels][1]) / timedelta(seconds=1)

    def _of(self, region: str, replay: Replay | None) -> tuple[str, str]:
        return self._region.of(region), _clock(replay)


def _clock(replay: Replay | None) -> str:
    return "replay" if replay else "wall"


def _set(gauge: Gauge, labels: tuple[str, ...], value: float | None) -> None:
    if value is None:
        gauge.remove(*labels)
    else:
        gauge.labels(*labels).set(value)
