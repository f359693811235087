"""`carbonshift forecast`: how good the forecasts of each model are on a recording."""

import os
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from carbonshift.backtest.forecasts.evaluation import Options, evaluation
from carbonshift.backtest.forecasts.models import chosen
from carbonshift.backtest.forecasts.rolling import GROUP
from carbonshift.backtest.recorded import recorded
from carbonshift.cli.commands.replay import report_skipped
from carbonshift.cli.forecast_table import tape_tables
from carbonshift.cli.options import SkipBad, TapeArgument, console, to_moment
from carbonshift.cli.progress_bar import progress_bar
from carbonshift.cli.written import can_write, write_json, write_whole
from carbonshift.common.errors import CarbonShiftError, InputError
from carbonshift.common.plugins import load_plugin
from carbonshift.common.tape import open_tape
from carbonshift.forecast.proposer import Proposer
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.ingest.bundled import find_tape

__all__ = ["app"]

HOUR_SECONDS = 3_600.0
SHORTEST_HOURS, LONGEST_HOURS = 0.01, 168.0
PLOTS = (".svg", ".png")

app = typer.Typer(help="Forecasts of price and carbon.", no_args_is_help=True)


@app.callback()
def forecast() -> None:
    """Forecasts of price and carbon."""


@app.command()
def evaluate(
    tapes: Annotated[list[Path], TapeArgument.__metadata__[0]],
    *,
    models: Annotated[
        str | None, typer.Option(metavar="A,B|all", help="Forecasters with commas, or all; without it the fast ones.")
    ] = None,
    horizon: Annotated[float, typer.Option(metavar="HOURS", help="How far ahead: 0.01 to 168.")] = 4.0,
    every: Annotated[
        int | None, typer.Option(min=1, help="Intervals from one origin to the next; by default 3,000 origins or more.")
    ] = None,
    slow_every: Annotated[int, typer.Option(min=1, help="Of the origins slow models see every so many-th.")] = 7,
    start: Annotated[str | None, typer.Option("--from", metavar="T", help="No origin before; a date is UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="T", help="Nothing is foretold from there on.")] = None,
    day_ahead: Annotated[
        bool, typer.Option("--day-ahead/--no-day-ahead", help="Whether the models hear published day-ahead prices.")
    ] = False,
    propose: Annotated[
        bool,
        typer.Option(
            "--propose",
            help="Ask the language model too: for money and within its budget, or CARBONSHIFT_OPENAI_ANSWERS.",
        ),
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, max=1_024, help="Worker processes; by default one a core.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write every figure.")] = None,
    plot_path: Annotated[Path | None, typer.Option("--plot", help="Draw the figures (.svg or .png).")] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Set every forecaster against persistence and the day before, from the same origins of recorded grids."""
    if not SHORTEST_HOURS <= horizon <= LONGEST_HOURS:  # so too nan
        raise InputError(
            f"--horizon {horizon:g} does not fit", f"give hours from {SHORTEST_HOURS:g} to {LONGEST_HOURS:g}"
        )
    settings = ForecastSettings.load()
    for name in settings.forecasters:
        load_plugin(GROUP, name)  # refuses the one that is not installed, as the service does
    options = Options(
        models=chosen(models, day_ahead=day_ahead),
        horizon_seconds=horizon * HOUR_SECONDS,
        every=every,
        slow_every=slow_every,
        start=to_moment("--from", start),
        end=to_moment("--to", end),
        day_ahead=day_ahead,
        jobs=jobs or len(os.sched_getaffinity(0)),
        proposer=_proposer(settings) if propose else None,
    )
    opened = [open_tape(find_tape(tape), skip_bad=skip_bad) for tape in tapes]
    taken = {tape.path.resolve() for tape in opened}
    for name, path in (("--json", json_path), ("--plot", plot_path)):
        if path is not None:
            can_write(name, path, taken)
            taken.add(path.resolve())
    if plot_path and plot_path.suffix.lower() not in PLOTS:
        raise InputError(f"--plot {plot_path}: not a picture by its name", f"a picture ends in {' or '.join(PLOTS)}")
    sections: list[dict[str, Any]] = []
    for tape in opened:
        report_skipped(tape)
        with progress_bar(tape.path.name) as progress:
            sections.append(evaluation(recorded(tape), settings, options, progress))
    document = {
        "command": shlex.join(("carbonshift", *sys.argv[1:])),
        "version": version("carbonshift-backtest"),
        "tapes": sections,
    }
    try:
        if json_path:
            write_json(json_path, document)
            console.print(f"data: {json_path}", soft_wrap=True, markup=False)
        if plot_path:
            from carbonshift.backtest.forecasts.plot import plot  # noqa: PLC0415  # matplotlib takes seconds to import

            write_whole("--plot", plot_path, plot(document, plot_path.suffix.lower().removeprefix(".")))
            console.print(f"plot: {plot_path}", soft_wrap=True, markup=False)
    finally:  # a full disk behind one of the three takes none of the others with it
        _print(sections)


def _print(sections: Sequence[dict[str, Any]]) -> None:
    try:
        for section in sections:
            Console(highlight=False).print(tape_tables(section))
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what Python holds back for stdout must not fail again as it exits
        os.close(nowhere)
        raise CarbonShiftError(f"stdout: {error.strerror or error}", "make room, or send it elsewhere") from error


def _proposer(settings: ForecastSettings) -> Proposer:
    proposer = Proposer.of(settings)
    if proposer is None:
        raise InputError("--propose: there is nobody to ask", "set OPENAI_API_KEY, or CARBONSHIFT_OPENAI_ANSWERS")
    return proposer
