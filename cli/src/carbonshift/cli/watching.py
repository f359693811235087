"""What a person sees while a fleet runs: folded out of events, drawn by rich."""

from collections import Counter
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from carbonshift.common.accounting import J_PER_KWH
from carbonshift.common.events import (
    DeadLetter,
    Event,
    GridForecast,
    GridState,
    GridTick,
    JobStatus,
    Narrative,
    Pulse,
    RunState,
    WorkerEvent,
    WorkerEventKind,
    WorkerTelemetry,
)

__all__ = ["LOOKS", "Watch"]

LOOKS = {
    Pulse.GREEN: ("●", "green"),
    Pulse.AMBER: ("▲", "yellow"),
    Pulse.RED: ("■", "red"),
    Pulse.UNKNOWN: ("?", "magenta"),
}
"""Shape and colour of a state; the word always stands beside them."""
STRIP_WIDTH = 72


@dataclass(slots=True)
class Watch:
    """All that has been heard; `take` folds one more event in."""

    ticks: list[GridTick] = field(default_factory=list)
    states: list[GridState] = field(default_factory=list)
    telemetry: list[WorkerTelemetry] = field(default_factory=list)
    latest: dict[str, WorkerTelemetry] = field(default_factory=dict)
    worker_events: list[WorkerEvent] = field(default_factory=list)
    narratives: list[Narrative] = field(default_factory=list)
    jobs: list[JobStatus] = field(default_factory=list)
    forecasts: int = 0
    dead_letters: int = 0

    def take(self, event: Event) -> None:
        """Fold in one event."""
        match event:
            case GridTick():
                self.ticks.append(event)
            case GridState():
                self.states.append(event)
            case WorkerTelemetry():
                self.telemetry.append(event)
                self.latest[event.worker] = event
            case WorkerEvent():
                self.worker_events.append(event)
            case Narrative():
                self.narratives.append(event)
            case JobStatus():
                self.jobs.append(event)
            case GridForecast():
                self.forecasts += 1
            case DeadLetter():
                self.dead_letters += 1
            case _:
                pass

    def count(self, kind: WorkerEventKind) -> int:
        """How many worker events of one kind."""
        return sum(event.event is kind for event in self.worker_events)

    def states_by_name(self) -> dict[str, int]:
        """How many intervals each state had; every state is named."""
        counted = Counter(state.state for state in self.states)
        return {pulse.value: counted[pulse] for pulse in Pulse}

    def line(self) -> str:
        """The newest state in one plain line."""
        if not self.states:
            return "waiting for the first state"
        state, tick = self.states[-1], self.ticks[-1] if self.ticks else None
        watts = sum(now.power_w or 0.0 for now in self.latest.values())
        steps = sum(now.step for now in self.latest.values())
        price, carbon = _values(tick)
        return (
            f"{state.interval_start:%Y-%m-%d %H:%M}Z {LOOKS[state.state][0]} {state.state.value:7} "
            f"{_figure(price, '7.2f')} $/MWh "
            f"{_figure(carbon, '4.0f')} g/kWh "
            f"fleet {watts:4.0f} W, {steps} training steps"
        )

    def picture(self, title: str, done_share: float) -> RenderableType:
        """The whole view, for a live terminal."""
        if not self.states:
            return Panel(Text("waiting for the first state ..."), title=title)
        return Panel(
            Group(
                self._head(), self._strip(), Text(), self._fleet(), Text(), self._story(), self._progress(done_share)
            ),
            title=title,
            border_style="dim",
        )

    def _head(self) -> RenderableType:
        state = self.states[-1]
        tick = next((tick for tick in reversed(self.ticks) if tick.interval_start == state.interval_start), None)
        price, carbon = _values(tick)
        shape, colour = LOOKS[state.state]
        return Text.assemble(
            (f" {shape} {state.state.value} ", f"bold reverse {colour}"),
            f"  {state.interval_start:%a %Y-%m-%d %H:%M} UTC (replayed)   ",
            (f"{_figure(price, '.2f')} $/MWh", "bold"),
            "   ",
            (f"{_figure(carbon, '.0f')} g/kWh", "bold"),
            f"   score {_figure(state.score, '.2f')}",
        )

    def _strip(self) -> RenderableType:
        """The states so far, one mark an interval."""
        text = Text()
        for state in self.states[-STRIP_WIDTH:]:
            shape, colour = LOOKS[state.state]
            text.append(shape, style=colour)
        return text

    def _fleet(self) -> RenderableType:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for column in ("worker", "job", "state"):
            table.add_column(column)
        for column in ("watts", "limit", "allowed", "kWh", "steps", "steps/s"):
            table.add_column(column, justify="right")
        for name in sorted(self.latest):
            now = self.latest[name]
            running = now.run_state is RunState.RUNNING
            table.add_row(
                name,
                now.job or "-",
                Text(("▶ " if running else "⏸ ") + now.run_state.value, style="green" if running else "yellow"),
                f"{_figure(now.power_w, '.0f')} W",
                f"{_figure(now.power_limit_w, '.0f')} W",
                f"{now.allowance_w:.0f} W",
                f"{now.energy_j / J_PER_KWH:.2f}",
                str(now.step) if now.step else "modelled",
                _figure(now.steps_per_s, ".1f") if now.step else "",
            )
        return table

    def _story(self) -> RenderableType:
        return Text(self.narratives[-1].text if self.narratives else "", style="italic")

    def _progress(self, done_share: float) -> RenderableType:
        grid = Table.grid(padding=(1, 2, 0, 0))
        grid.add_row(
            ProgressBar(total=1.0, completed=min(done_share, 1.0), width=40),
            f"{self.count(WorkerEventKind.PAUSED)} pauses, {self.count(WorkerEventKind.RESUMED)} resumes, "
            f"{self.forecasts} forecasts, {self.dead_letters} dead letters",
        )
        return grid


def _figure(value: float | None, how: str) -> str:
    return "-" if value is None else format(value, how)


def _values(tick: GridTick | None) -> tuple[float | None, float | None]:
    """Price and carbon of a tick."""
    return (tick.price_usd_per_mwh, tick.carbon_g_per_kwh) if tick else (None, None)
