"""`carbonshift explain`: a span of the grid told to a person, out of what the streams hold."""

import asyncio
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from rich.console import Console
from rich.text import Text

from carbonshift.backtest.narratives.cases import Case, cases_of
from carbonshift.backtest.narratives.expected_times import expected_times
from carbonshift.backtest.narratives.trial import asked, can_ask, told_falsely
from carbonshift.backtest.recorded import recorded
from carbonshift.cli.commands.replay import report_skipped
from carbonshift.cli.narratives_table import narratives_tables
from carbonshift.cli.options import SkipBad, TapeArgument, WaitFlag, console, reached_broker, to_moment
from carbonshift.cli.progress_bar import progress_bar
from carbonshift.cli.written import can_write, write_json
from carbonshift.common.client import bare_client
from carbonshift.common.errors import BrokerUnreachableError, InputError
from carbonshift.common.events import Digest
from carbonshift.common.tape import open_tape
from carbonshift.decide.settings import DecideSettings
from carbonshift.explain.digest.gather import Run, gather, regions_of, runs_of
from carbonshift.explain.digest.heard import Heard
from carbonshift.explain.digest.span import YEARS, Span, day_of, last_day
from carbonshift.explain.digest.told import digest_of
from carbonshift.explain.settings import ExplainSettings
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.ingest.bundled import find_tape

__all__ = ["app"]

app = typer.Typer(help="The grid told to a person.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the digest is to be of; None = not said."""

    span: Span | None
    region: str | None
    run: str | None
    zone: str


@app.callback(invoke_without_command=True)
def explain(
    context: typer.Context,
    *,
    start: Annotated[
        str | None, typer.Option("--from", metavar="T", help="First moment: a local date, or a time with zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="T", help="First moment that is left out.")] = None,
    region: Annotated[str | None, typer.Option(help="Which region; every one without it.")] = None,
    run: Annotated[str | None, typer.Option(help="Which replay; the live grid without it.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write text and figures.")] = None,
    wait: WaitFlag = False,
) -> None:
    """Tell a span: what happened, what it saved, what was missed, what comes; without times the last whole day.

    Dates are those of CARBONSHIFT_TIME_ZONE. With --from alone the span ends with that day, with --to alone it begins
    with the day before that moment.
    """
    if context.invoked_subcommand:
        return
    settings = ExplainSettings.load()
    asked = _Asked(span=_span(start, end, settings.time_zone), region=region, run=run, zone=settings.time_zone)
    if json_path:
        can_write("--json", json_path, set())
    digests = _read(settings, asked, wait=wait)
    _print(digests)
    if json_path:
        document = {
            "command": shlex.join(("carbonshift", *sys.argv[1:])),
            "version": version("carbonshift-explain"),
            "digests": [digest.model_dump(mode="json") for digest in digests],
        }
        write_json(json_path, document)
        console.print(f"data: {json_path}", soft_wrap=True, markup=False)


@app.command()
def evaluate(
    tapes: Annotated[list[Path], TapeArgument.__metadata__[0]],
    *,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Transitions of each tape, drawn at random.")] = 70,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    corrupt: Annotated[
        str, typer.Option(metavar="A,B", help="Shares of false answers of the stand-in, in percent.")
    ] = "0,30,100",
    ask: Annotated[
        bool,
        typer.Option(
            "--ask", help="Ask Claude in the stand-in's place: for money and within its budget, or recorded answers."
        ),
    ] = False,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write every figure, and twenty narratives.")] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Tell transitions of recorded grids by a stand-in for Claude that lies, and count what is published of it."""
    settings, decide, forecast = ExplainSettings.load(), DecideSettings.load(), ForecastSettings.load()
    shares = _shares(corrupt)
    if ask:
        can_ask(settings)
    opened = [open_tape(find_tape(tape), skip_bad=skip_bad) for tape in tapes]
    if json_path:
        can_write("--json", json_path, {tape.path.resolve() for tape in opened})
    cases: list[Case] = []
    sections: list[dict[str, Any]] = []
    for tape in opened:
        report_skipped(tape)
        with progress_bar(tape.path.name) as progress:
            progress("forecasting", 0.0)
            drawn = cases_of(recorded(tape), decide, forecast, count, seed)
        if not drawn:
            raise InputError(f"{tape.path}: its state never changes after two weeks", "give a longer tape")
        cases += drawn
        sections.append({"tape": drawn[0].tape, "transitions": len(drawn), "expected_times": expected_times(drawn)})
    with progress_bar("telling") as progress:
        told = asked(cases, settings, seed, progress) if ask else told_falsely(cases, settings, shares, seed, progress)
    document = {
        "command": shlex.join(("carbonshift", *sys.argv[1:])),
        "version": version("carbonshift-backtest"),
        "tapes": sections,
        **told,
    }
    if json_path:
        write_json(json_path, document)
        console.print(f"data: {json_path}", soft_wrap=True, markup=False)
    Console(highlight=False).print(narratives_tables(document))


def _shares(text: str) -> list[float]:
    """Of percents with commas. Raises: InputError"""
    try:
        percents = [float(one) for one in text.split(",")]
    except ValueError:
        percents = []
    if not percents or not all(0 <= percent <= 100 for percent in percents):  # noqa: PLR2004  so too nan
        raise InputError(f"--corrupt {text!r} is no list of percents", "write it like 0,30,100")
    return [percent / 100 for percent in dict.fromkeys(percents)]


def _span(start_text: str | None, end_text: str | None, zone: str) -> Span | None:
    """What --from and --to say; None where they say nothing.

    Raises: InputError
    """
    start, end = _moment("--from", start_text, zone), _moment("--to", end_text, zone)
    clock = ZoneInfo(zone)
    if start and not end:
        return Span(start=start, end=day_of(start.astimezone(clock).date(), zone).end, zone=zone)
    if end and not start:
        last = end - timedelta(microseconds=1)
        return Span(start=day_of(last.astimezone(clock).date(), zone).start, end=end, zone=zone)
    if not (start and end):
        return None
    if start >= end:
        raise InputError(f"--from {start_text} is not before --to {end_text}", "let the span end after it starts")
    return Span(start=start, end=end, zone=zone)


def _moment(name: str, text: str | None, zone: str) -> datetime | None:
    moment = to_moment(name, text, ZoneInfo(zone))
    if moment and moment.year not in YEARS:
        raise InputError(f"{name} {text!r} is not within the years {YEARS[0]} to {YEARS[-1]}", "give another year")
    return moment


def _read(settings: ExplainSettings, asked: _Asked, *, wait: bool) -> list[Digest]:
    try:
        with reached_broker(settings, wait=wait) as url, progress_bar("reading") as progress:
            return asyncio.run(_digests(settings.model_copy(update={"nats_url": url}), asked, progress))
    except BrokerUnreachableError as error:
        raise InputError(error.problem, error.remedy) from error
    except (NatsError, TimeoutError) as error:
        problem = f"the broker does not let its streams be read: {error or type(error).__name__}"
        raise InputError(problem, "it needs JetStream; see whether it still runs") from error


async def _digests(settings: ExplainSettings, asked: _Asked, progress: Callable[[str, float], None]) -> list[Digest]:
    """The digest of each region asked for that has anything in its span.

    Raises: InputError where there is no such region, no such run, or nothing.
    """
    prefix = settings.subject_prefix
    digests: list[Digest] = []
    async with bare_client(settings) as client:
        jetstream = client.jetstream()
        regions = await _regions(jetstream, prefix, asked.region)
        runs = [run for region in regions for run in await runs_of(jetstream, prefix, region)] if asked.run else []
        if asked.run and asked.run not in {run.name for run in runs}:
            raise InputError(f"--run {asked.run!r}: the streams hold no such replay", _remedy(runs))
        for region in regions:
            span = asked.span or _last_day(asked, region, runs)
            if span is None:
                continue
            heard = Heard(region, span, asked.run)
            await gather(jetstream, prefix, heard, progress)
            if not heard.is_empty:
                digests.append(digest_of(heard))
        if not digests:
            held = [run for region in regions for run in await runs_of(jetstream, prefix, region)]
            raise InputError(f"nothing of {_what(asked)} lies in that span", _remedy(held))
    return digests


async def _regions(jetstream: JetStreamContext, prefix: str, region: str | None) -> list[str]:
    regions = await regions_of(jetstream, prefix)
    if not regions:
        raise InputError("the streams hold no region", "start `carbonshift up` or a replay first, or correct NATS_URL")
    if region is not None and region not in regions:
        raise InputError(f"--region {region!r}: the streams hold nothing of it", f"they have {', '.join(regions)}")
    return [region] if region else regions


def _last_day(asked: _Asked, region: str, runs: Sequence[Run]) -> Span | None:
    """The day before now; of a replay the last that is whole, or all of it."""
    if asked.run is None:
        return last_day(datetime.now(UTC), asked.zone)
    run = next((run for run in runs if (run.name, run.region) == (asked.run, region)), None)
    if run is None:
        return None
    day = last_day(run.end, asked.zone)
    return day if day.start >= run.first else Span(start=run.first, end=run.end, zone=asked.zone)


def _what(asked: _Asked) -> str:
    grid = f"replay {asked.run}" if asked.run else "the live grid"
    return f"{grid} in {asked.region}" if asked.region else grid


def _remedy(runs: Sequence[Run]) -> str:
    minute = "%Y-%m-%dT%H:%MZ"
    held = "; ".join(
        f"{f'--run {run.name}' if run.name else 'live'} {run.region} {run.first:{minute}} to {run.end:{minute}}"
        for run in runs
    )
    return f"the streams hold {held}" if held else "the streams hold no states"


def _print(digests: Sequence[Digest]) -> None:
    """Plain text: wrapped on a terminal alone, and nothing in it means anything to the terminal."""
    out = Console(highlight=False, emoji=False, markup=False)
    for index, digest in enumerate(digests):
        text = f"{digest.text}\n" if index + 1 < len(digests) else digest.text
        out.print(Text(text), soft_wrap=not out.is_terminal)
