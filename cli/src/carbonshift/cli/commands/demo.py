"""`carbonshift demo`: the whole loop on this machine, on a recorded grid, with a real training."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
from nats.aio.msg import Msg
from rich.console import Console
from rich.live import Live

from carbonshift.cli.options import JsonFlag, console
from carbonshift.cli.savings import Savings, compare
from carbonshift.cli.supervisor import Program, Supervisor
from carbonshift.cli.usage_of_run import usage_by_device
from carbonshift.cli.watching import Watch
from carbonshift.common.accounting import newest_revisions
from carbonshift.common.client import bare_client
from carbonshift.common.embedded import embedded_server
from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.events import (
    EVENTS,
    Event,
    GridState,
    JobStatus,
    Replay,
    RunState,
    WorkerEvent,
    WorkerEventKind,
    rfc3339,
)
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.common.streams import declare_streams
from carbonshift.common.tape import Tape, open_tape
from carbonshift.ingest.app import new_run
from carbonshift.ingest.bundled import bundled_tapes
from carbonshift.ingest.replay import Span, frame_of, replay_tape, span_of, ticks_of
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.recording import RecordingSource
from carbonshift.training.launch import training_environment

__all__ = ["demo"]

TAPE = "de_2018_15min"
START = datetime(2018, 9, 7, 5, tzinfo=UTC)
LENGTH = timedelta(hours=48)
WARM_UP = timedelta(days=14)
"""Replayed at once before the start: the norms look back on two weeks."""
SPEED = 4_000.0
JOB = "resnet18"
WORKERS = ("demo-1", "demo-2", "demo-3")
"""The first drives the real training, the others a job that exists in the device model alone."""
DECIDE = {
    "CARBONSHIFT_GREEN_POWER_LIMIT_W": "150",  # the most efficient caps of the device model, not its full power
    "CARBONSHIFT_AMBER_POWER_LIMIT_W": "136",
    "CARBONSHIFT_SITES": json.dumps({"demo": {"ramp_w_per_minute": 5, "budget_w": 500, "token_w": 50}}),
}
START_SECONDS = 40.0
"""Longest wait for a service, or for torch, to come up."""
CHOICE = (
    "These two days were chosen because they show every state. Among all of their tape, what they save over running at"
    " once is near the median, and beside the cap they do better than most (benchmarks/demo_window.py): no estimate of"
    " what you would save."
)


def demo(*, as_json: JsonFlag = False) -> None:
    """Replay two days of a real grid in under a minute and let three GPUs (simulated) and a real training follow it."""
    outcome = _run(quiet=as_json)
    if as_json:
        typer.echo(json.dumps(outcome.as_json(), indent=2))
        return
    out = Console(highlight=False)
    out.print(outcome.savings.as_table())
    out.print()
    for line in outcome.facts():
        out.print(line, soft_wrap=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the demo has shown."""

    watch: Watch
    savings: Savings
    span: Span
    wall_seconds: float

    def training(self) -> dict[str, Any]:
        """What the real training went through; measured."""
        real = [now for now in self.watch.telemetry if now.worker == WORKERS[0]]
        events = [event for event in self.watch.worker_events if event.worker == WORKERS[0]]
        pauses = [event.detail for event in events if event.event is WorkerEventKind.PAUSED and "step" in event.detail]
        moved = sum(
            after.step - before.step
            for before, after in pairwise(real)
            if before.run_state is RunState.PAUSED and after.run_state is RunState.PAUSED
        )
        return {
            "basis": "measured",
            "script": "examples/resnet18.py",
            "steps": max((now.step for now in real), default=0),
            "steps_while_paused": moved,
            "pauses": len(pauses),
            "resumes": sum(event.event is WorkerEventKind.RESUMED for event in events),
            "slowest_pause_seconds": max((float(str(pause["seconds"])) for pause in pauses), default=None),
            "memory_in_use_bytes": max((now.memory_used_bytes or 0 for now in real), default=0),
        }

    def as_json(self) -> dict[str, Any]:
        """Plain data for a machine."""
        return {
            "recording": {
                "name": TAPE,
                "start": rfc3339(self.span.start),
                "end": rfc3339(self.span.end),
                "speed": SPEED,
            },
            "states": self.watch.states_by_name(),
            "transitions": sum(before.state is not after.state for before, after in pairwise(self.watch.states)),
            "pauses": self.watch.count(WorkerEventKind.PAUSED),
            "resumes": self.watch.count(WorkerEventKind.RESUMED),
            "resume_tokens_taken": sum(int(str(e.detail.get("tokens", 0))) for e in self.watch.worker_events),
            "forecasts": self.watch.forecasts,
            "dead_letters": self.watch.dead_letters,
            "narratives": [story.text for story in self.watch.narratives],
            "training": self.training(),
            "savings": self.savings.as_json(),
            "wall_seconds": round(self.wall_seconds, 1),
            "basis": {
                "states, transitions, narratives, forecasts": "computed from the recording",
                "pauses, resumes, resume_tokens_taken": f"counted: {JOB} is a real training, the others are simulated",
                "wall_seconds": "measured",
            },
            "note": CHOICE,
        }

    def facts(self) -> list[str]:
        """What stands under the table."""
        training = self.training()
        slowest = training["slowest_pause_seconds"] or 0.0
        trained = (
            f"Training (measured): {training['steps']} steps of a real ResNet-18; {training['pauses']} pauses, the"
            f" model in memory, the slowest took {slowest:.3f} s; {training['steps_while_paused']} steps meanwhile."
        )
        board = (
            f"Energy, cost, carbon, work (modelled): a simulated {RESNET18_V100.name} under the recorded prices and"
            f" carbon of {TAPE}; it draws {RESNET18_V100.parked_w:.0f} W while it waits; nothing counts after its work."
        )
        return [trained, board, CHOICE]


def _run(*, quiet: bool) -> Outcome:
    began = time.monotonic()
    tape = open_tape(bundled_tapes()[TAPE])
    with (
        tempfile.TemporaryDirectory(prefix="carbonshift-demo-") as folder,
        embedded_server(Path(folder) / "broker") as url,
        Supervisor(console.print) as supervisor,
    ):
        stage = _Stage(Path(folder), url, supervisor, quiet=quiet)
        return asyncio.run(stage.play(tape, began))


class _Stage:
    """One performance: services, fleet, training and tape."""

    def __init__(self, folder: Path, url: str, supervisor: Supervisor, *, quiet: bool) -> None:
        self._folder = folder
        self._supervisor = supervisor
        self._quiet = quiet
        self._environment = {"NATS_URL": url, "CARBONSHIFT_STATE_DIR": str(folder)}
        self._settings = IngestSettings.load(nats_url=url)
        self._watch = Watch()
        self._decided_until: datetime | None = None

    async def play(self, tape: Tape, began: float) -> Outcome:
        """The demo from the first service to the report."""
        await declare_streams(self._settings)
        warm_up, span = span_of(tape, START - WARM_UP, START), span_of(tape, START, START + LENGTH)
        run = new_run()
        async with bare_client(self._settings) as client:
            for kind in EVENTS:
                await client.subscribe(kind.subjects(self._settings.subject_prefix), cb=self._listener(kind))
            self._say("starting decide, forecast, explain and dashboard on an embedded broker")
            for service in ("decide", "forecast", "explain"):
                self._service(service, DECIDE if service == "decide" else {})
            self._service("dashboard", {"CARBONSHIFT_HTTP_PORT": "0"})
            self._say(f"replaying the two weeks before {START:%Y-%m-%d}, so that the norms have a past")
            await replay_tape(self._settings, tape, warm_up, Replay(run=run))
            await self._until(
                lambda: self._decided_until == warm_up.end - timedelta(seconds=tape.step_seconds), "decide"
            )
            self._say("starting three workers and a real PyTorch training (ResNet-18)")
            for worker in WORKERS:
                self._worker(worker)
            self._training()
            await self._until(lambda: self._joined() and len(self._known_workers()) == len(WORKERS), "the training")
            await self._replay(tape, span, Replay(run=run, speed=SPEED))
            self._supervisor.stop("training", *(f"gpu-worker:{worker}" for worker in WORKERS))
            await client.flush()
        return await self._outcome(tape, span, began)

    def _listener(self, kind: type[Event]) -> Callable[[Msg], Awaitable[None]]:
        async def on_message(message: Msg) -> None:
            event = kind.model_validate_json(message.data)
            if isinstance(event, GridState):
                self._decided_until = event.interval_start
            if event.time < START and not isinstance(event, WorkerEvent | JobStatus):
                return  # of the warm-up
            self._watch.take(event)

        return on_message

    def _service(self, service: str, environment: Mapping[str, str]) -> None:
        log = self._folder / f"{service.replace(':', '-')}.log"
        self._supervisor.start_service(service, self._environment | dict(environment), log)

    def _worker(self, worker: str) -> None:
        self._service(
            f"gpu-worker:{worker}",
            {
                "CARBONSHIFT_STATE_DIR": str(self._folder / worker),
                "CARBONSHIFT_CONTROL_SOCKET": str(self._control(worker)),
                "CARBONSHIFT_WORKER": worker,
                "CARBONSHIFT_SITE": "demo",
                "CARBONSHIFT_REGION": "de",
                "CARBONSHIFT_DEVICE_BACKEND": "simulated",
                "CARBONSHIFT_MODELLED_JOB": str(worker != WORKERS[0]).lower(),
            },
        )

    def _control(self, worker: str) -> Path:
        return self._folder / f"{worker}.sock"

    def _training(self) -> None:
        script = Path(str(files("carbonshift.cli") / "examples" / "resnet18.py"))
        environment = training_environment(self._control(WORKERS[0]), os.environ, JOB)
        command = (sys.executable, str(script), "--steps", "0", "--threads", "1")
        self._supervisor.start(
            Program(
                name="training",
                command=command,
                environment=environment,
                log=self._folder / "training.log",
                restart=False,
            )
        )

    def _joined(self) -> bool:
        return any(status.job == JOB for status in self._watch.jobs)

    def _known_workers(self) -> set[str]:
        return {event.worker for event in self._watch.worker_events}

    async def _replay(self, tape: Tape, span: Span, mark: Replay) -> None:
        playing = asyncio.create_task(replay_tape(self._settings, tape, span, mark))
        title = f"CarbonShift demo: Germany, {span.start:%d %b} to {span.end:%d %b %Y}, {SPEED:.0f} x"
        with Live(console=console, auto_refresh=False, transient=True) as live:
            shown = 0
            while not playing.done():
                await asyncio.wait({playing}, timeout=0.25)
                self._check()
                share = len(self._watch.states) * tape.step_seconds / LENGTH.total_seconds()
                if self._quiet:
                    continue
                if console.is_terminal:
                    live.update(self._watch.picture(title, share), refresh=True)
                elif len(self._watch.states) >= shown:
                    self._say(self._watch.line())
                    shown = len(self._watch.states) + 8
        await playing

    async def _outcome(self, tape: Tape, span: Span, began: float) -> Outcome:
        stretch = span_of(tape, span.start, span.end + 2 * LENGTH)
        source = RecordingSource(self._settings, tape=tape)
        told = [tick async for tick in ticks_of(source, stretch, frame_of(tape), self._settings.patience())]
        ticks = newest_revisions(told)
        usages = usage_by_device((t for t in self._watch.telemetry if t.observed_at >= span.start), ticks)
        if not usages:
            raise CarbonShiftError("no worker has sent telemetry", f"see {self._tail('gpu-worker-demo-1')}")
        return Outcome(
            watch=self._watch,
            savings=compare(list(usages.values()), RESNET18_V100, span.start, span.end, ticks, self._basis()),
            span=span,
            wall_seconds=time.monotonic() - began,
        )

    async def _until(self, done: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not done():
                    await asyncio.sleep(0.1)
                    self._check()
        except TimeoutError as error:
            problem = f"{what} was not ready after {START_SECONDS:.0f} s; the logs end with: {self._tails()}"
            raise CarbonShiftError(problem, "is the machine very busy? try again") from error

    def _basis(self) -> str:
        """Where the energy in the telemetry comes from."""
        return ", ".join(sorted({now.energy_basis for now in self._watch.telemetry}))

    def _check(self) -> None:
        if self._supervisor.has_ended("training"):
            raise CarbonShiftError(f"the training has ended: {self._tail('training')}", "report it with this line")
        if dead := self._supervisor.check():
            raise CarbonShiftError(f"{dead} keeps ending: {self._tail(dead)}", "report it with this line")

    def _tail(self, name: str) -> str:
        log = self._folder / f"{name.replace(':', '-')}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else "it wrote nothing"

    def _tails(self) -> str:
        return " | ".join(f"{log.stem}: {self._tail(log.stem)}" for log in sorted(self._folder.glob("*.log")))

    def _say(self, text: str) -> None:
        if not self._quiet:
            console.print(text, markup=False, soft_wrap=True)
