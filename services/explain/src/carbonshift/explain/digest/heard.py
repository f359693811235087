"""What a region's events tell of a span, folded as they come. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from carbonshift.common.events import (
    CarbonBasis,
    EnergyUse,
    Event,
    GridForecast,
    GridState,
    GridTick,
    GridTransition,
    Pulse,
    Replay,
    WorkerEvent,
    WorkerEventKind,
)
from carbonshift.explain.digest.draws import Draws
from carbonshift.explain.digest.pauses import Pauses
from carbonshift.explain.digest.span import Span

__all__ = ["FORECAST_KEPT", "Heard", "StateHeard", "TickHeard", "laid_out", "possible"]

FORECAST_KEPT = timedelta(hours=6)
"""An outlook that is older at the end of the span is none."""
LONGEST_SECONDS = 7 * 86_400
MOST_USD_PER_MWH = 1e6
MOST_G_PER_KWH = 1e5


class _Lasting(Protocol):
    @property
    def seconds(self) -> int: ...


L = TypeVar("L", bound=_Lasting)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateHeard:
    """The verdict on one interval."""

    seconds: int
    state: Pulse
    since: datetime
    """When the state began."""
    reason: str | None
    """The weightiest code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickHeard:
    """The newest revision of one interval; a value that cannot be trusted is none."""

    seconds: int
    revision: int
    price_usd_per_mwh: float | None
    carbon_g_per_kwh: float | None
    carbon_basis: CarbonBasis
    flagged: bool


class Heard:
    """One region, one span, one run of the grid: the live one, or a replay. What is of another is not taken."""

    def __init__(self, region: str, span: Span, run: str | None = None) -> None:
        self.region, self.span, self.run = region, span, run
        self.replay: Replay | None = None
        self.states: dict[datetime, StateHeard] = {}
        self.ticks: dict[datetime, TickHeard] = {}
        self.changes: set[datetime] = set()
        """Starts of the intervals in which the state changed."""
        self.draws = Draws(span)
        self.happenings: Counter[WorkerEventKind] = Counter()
        """Events of workers, each once however often it was published."""
        self._happened: set[str] = set()
        self.pauses = Pauses()
        self.red_began: dict[datetime, str | None] = {}
        """By the start of its first interval, before the span or in it: the weightiest code of a RED."""
        self.at_end: tuple[datetime, Pulse] | None = None
        """The state of the interval in which the first moment after the span lies, and that interval's start."""
        self.forecast: GridForecast | None = None
        """The newest that was made before the end, if that is not long ago."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the span was heard."""
        return not (self.states or self.ticks or self.draws or self.draws.impossible or self.happenings)

    def hear(self, event: Event) -> None:
        """Take in one event, in the order of its stream."""
        replay: Replay | None = (
            event.state.replay if isinstance(event, GridTransition) else getattr(event, "replay", None)
        )
        if getattr(event, "region", None) != self.region or (replay.run if replay else None) != self.run:
            return
        if isinstance(event, GridForecast):
            self._hear_forecast(event)
            return
        self._hear_beyond(event)
        if not self._overlaps(event):
            return
        self.replay = replay
        match event:
            case GridState():
                self.states[event.interval_start] = StateHeard(
                    seconds=min(event.interval_seconds, LONGEST_SECONDS),
                    state=event.state,
                    since=event.since,
                    reason=next(iter(event.reasons), None),
                )
            case GridTick():
                self._hear_tick(event)
            case GridTransition():
                if event.previous is not None:
                    self.changes.add(event.time)
            case EnergyUse():
                self.draws.hear(event)
            case WorkerEvent():
                self._hear_worker(event)

    def _hear_beyond(self, event: Event) -> None:
        """What was before the span, or comes after it, tells when a RED of the span began, and whether it goes on."""
        if isinstance(event, GridTransition) and event.state.state is Pulse.RED and event.time < self.span.end:
            self.red_began[event.time] = next(iter(event.state.reasons), None)
        if isinstance(event, GridState):
            ago_seconds = (self.span.end - event.interval_start).total_seconds()
            if 0 <= ago_seconds < event.interval_seconds and (not self.at_end or self.at_end[0] <= event.time):
                self.at_end = event.time, event.state

    def _hear_worker(self, event: WorkerEvent) -> None:
        if event.id not in self._happened:
            self._happened.add(event.id)
            self.happenings[event.event] += 1
            self.pauses.hear(event)

    def _overlaps(self, event: Event) -> bool:
        """Whether it tells of any of the span: an interval may reach into it from before."""
        before = (self.span.start - event.time).total_seconds()
        lasts = min(getattr(event, "interval_seconds", 0), LONGEST_SECONDS)
        return event.time in self.span or 0 < before < lasts

    def _hear_tick(self, tick: GridTick) -> None:
        known = self.ticks.get(tick.interval_start)
        if known is None or tick.revision >= known.revision:
            self.ticks[tick.interval_start] = TickHeard(
                seconds=tick.interval_seconds,
                revision=tick.revision,
                price_usd_per_mwh=possible(tick.sound_price_usd_per_mwh, MOST_USD_PER_MWH),
                carbon_g_per_kwh=possible(tick.sound_carbon_g_per_kwh, MOST_G_PER_KWH),
                carbon_basis=tick.carbon_basis,
                flagged=bool(tick.issues),
            )

    def _hear_forecast(self, forecast: GridForecast) -> None:
        age = self.span.end - forecast.origin
        if timedelta(0) <= age <= FORECAST_KEPT and (self.forecast is None or forecast.origin >= self.forecast.origin):
            self.forecast = forecast


def possible(value: float | None, most: float) -> float | None:
    """The value; None where its size is beyond `most`, which no grid has."""
    return None if value is None or abs(value) > most else value


def laid_out(intervals: Mapping[datetime, L], span: Span) -> Iterator[tuple[datetime, datetime, L]]:
    """Start, end and content of each interval, rising, cut to the span; one ends no later than the next begins."""
    ordered = sorted(intervals.items())
    for index, (start, content) in enumerate(ordered):
        end = start + timedelta(seconds=content.seconds)
        if index + 1 < len(ordered):
            end = min(end, ordered[index + 1][0])
        first, last = max(start, span.start), min(end, span.end)
        if first < last:
            yield first, last, content
