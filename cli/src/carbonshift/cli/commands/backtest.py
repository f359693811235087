"""`carbonshift backtest`: what each policy would have saved on a recording, beside what could have been saved."""

import math
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from carbonshift.backtest.bench import BUILT_IN, StudyOptions
from carbonshift.backtest.document import accounting, curve_of, tape_section
from carbonshift.backtest.recorded import recorded
from carbonshift.backtest.report.page import write_page
from carbonshift.backtest.study import study
from carbonshift.cli.backtest_table import tape_table
from carbonshift.cli.commands.replay import report_skipped
from carbonshift.cli.options import SkipBad, TapeArgument, console
from carbonshift.cli.progress_bar import progress_bar
from carbonshift.cli.written import can_write, write_json
from carbonshift.common.errors import InputError
from carbonshift.common.plugins import plugin_names
from carbonshift.common.power_curve import CURVES
from carbonshift.common.tape import open_tape
from carbonshift.decide.settings import DecideSettings
from carbonshift.ingest.bundled import find_tape

__all__ = ["backtest"]

JOB_KEYS = ("hours", "power_w", "usd_per_gpu_hour", "curve")
HOUR_SECONDS = 3_600.0
LONGEST_HOURS = 10_000.0
MOST_W = 1e5
MOST_USD = 1e6


def backtest(
    tapes: Annotated[list[Path], TapeArgument.__metadata__[0]],
    *,
    job: Annotated[
        str,
        typer.Option(
            help="The job: hours of work at full power, curve of its board (resnet18-v100, resnet50-a40), power_w the"
            " highest power limit if another than the curve's, usd_per_gpu_hour the value of a GPU-hour."
        ),
    ] = "hours=24",
    slack: Annotated[
        str, typer.Option(help="Deadlines: (1 + slack) times the hours of the job; several with commas.")
    ] = "0.5,1,2",
    policy: Annotated[str, typer.Option(help="Policies with commas, or all.")] = "all",
    starts: Annotated[int, typer.Option(min=1, max=100_000, help="From how many starts the job is run.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Draws the starts.")] = 0,
    usd_per_tonne: Annotated[str, typer.Option(metavar="X", help="Price of carbon.")] = "100",
    day_ahead: Annotated[
        bool, typer.Option("--day-ahead/--no-day-ahead", help="Whether published day-ahead prices are known.")
    ] = True,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything, each schedule included.")] = None,
    html_path: Annotated[Path | None, typer.Option("--html", help="Write a report to read.")] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Run recorded grids through the policies of the service: savings beside every baseline and perfect foresight."""
    options = _options(job, slack, policy, starts, seed, usd_per_tonne)
    opened = [open_tape(find_tape(tape), skip_bad=skip_bad) for tape in tapes]
    taken = {tape.path.resolve() for tape in opened}
    for name, path in (("--json", json_path), ("--html", html_path)):
        if path is not None:
            can_write(name, path, taken)
            taken.add(path.resolve())
    sections: list[dict[str, Any]] = []
    sentences: list[str] = []
    for tape in opened:
        report_skipped(tape)
        with progress_bar(tape.path.name) as progress:
            recording = recorded(tape, day_ahead=day_ahead)
            settings = DecideSettings.load(time_zone=tape.sidecar.time_zone).for_region(tape.sidecar.region)
            done = study(recording, settings, options, progress)
            sections.append(tape_section(done))
            sentences = accounting(done)
        Console(highlight=False).print(tape_table(sections[-1]))
    document = {
        "command": shlex.join(("carbonshift", *sys.argv[1:])),
        "version": version("carbonshift-backtest"),
        "basis": "modelled",
        "accounting": sentences,
        "job": {
            "work_hours": options.work_seconds / HOUR_SECONDS,
            "power_w": options.curve.limits_w[-1],
            "usd_per_gpu_hour": options.usd_per_gpu_hour,
        },
        "curve": curve_of(options.curve),
        "usd_per_tonne": options.usd_per_tonne,
        "starts": options.starts,
        "seed": options.seed,
        "tapes": sections,
    }
    if html_path:
        write_page(html_path, document)
        console.print(f"report: {html_path}", soft_wrap=True, markup=False)
    if json_path:
        write_json(json_path, document)
        console.print(f"data: {json_path}", soft_wrap=True, markup=False)


def _options(job: str, slack: str, policy: str, starts: int, seed: int, usd_per_tonne: str) -> StudyOptions:
    asked = {"hours": "24", "curve": "resnet18-v100", "usd_per_gpu_hour": "0"}
    for part in job.split(","):
        key, equals, text = (word.strip() for word in part.partition("="))
        if not equals or key not in JOB_KEYS:
            raise InputError(f"--job {part!r} is not known", f"give {', '.join(f'{known}=...' for known in JOB_KEYS)}")
        asked[key] = text
    if asked["curve"] not in CURVES:
        raise InputError(f"--job curve={asked['curve']!r} is not known", f"give one of {', '.join(CURVES)}")
    published = CURVES[asked["curve"]]
    power_w = _number("--job power_w", asked.get("power_w", str(published.limits_w[-1])), MOST_W, least=1.0)
    return StudyOptions(
        work_seconds=_number("--job hours", asked["hours"], LONGEST_HOURS) * HOUR_SECONDS,
        published=published,
        power_w=power_w,
        usd_per_gpu_hour=_number("--job usd_per_gpu_hour", asked["usd_per_gpu_hour"], MOST_USD),
        slacks=tuple(sorted({_number("--slack", text, 1_000.0) for text in slack.split(",")})),
        policies=_policies(policy),
        starts=starts,
        seed=seed,
        usd_per_tonne=_number("--usd-per-tonne", usd_per_tonne, MOST_USD),
    )


def _number(name: str, text: str, most: float, *, least: float = 0.0) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise InputError(f"{name} {text[:40]!r} does not fit", f"give a number from {least:g} to {most:g}")
    return number


def _policies(text: str) -> tuple[str, ...]:
    installed = plugin_names("carbonshift.policies")
    known = (*BUILT_IN, *(name for name in installed if name not in BUILT_IN))
    if text == "all":
        return known
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            raise InputError(f"--policy {name!r} is not known", f"give all, or some of {', '.join(known)}")
    return names
