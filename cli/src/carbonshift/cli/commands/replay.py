"""`carbonshift replay`: a recording's ticks onto the broker, as ingest would publish them."""

import asyncio
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from carbonshift.cli.options import SkipBad, TapeArgument, WaitFlag, console, reached_broker, to_moment, to_speed
from carbonshift.common.errors import InputError
from carbonshift.common.events import Replay
from carbonshift.common.events.base import NAME
from carbonshift.common.streams import declare_streams
from carbonshift.common.tape import Tape, open_tape
from carbonshift.ingest.app import new_run
from carbonshift.ingest.bundled import find_tape
from carbonshift.ingest.replay import Span, replay_tape, span_of
from carbonshift.ingest.settings import IngestSettings

__all__ = ["replay", "report_skipped"]


def replay(
    tape: TapeArgument,
    *,
    speed: Annotated[str, typer.Option(help="Seconds of event time per second, or max.")] = "max",
    region: Annotated[str | None, typer.Option(help="Publish as this region.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First moment: a date (UTC) or a time with zone.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First moment that is left out.")] = None,
    skip_bad: SkipBad = False,
    wait: WaitFlag = False,
) -> None:
    """Publish a recording's ticks as ingest would."""
    if region is not None and not NAME.fullmatch(region):
        raise InputError(f"--region {region!r} is not a name", "use letters, digits, - and _")
    mark = Replay(run=new_run(), speed=to_speed(speed))
    opened = open_tape(find_tape(tape), skip_bad=skip_bad)
    span = span_of(opened, to_moment("--from", start), to_moment("--to", end))
    report_skipped(opened)
    settings = IngestSettings.load()
    with reached_broker(settings, wait=wait) as url:
        settings = settings.model_copy(update={"nats_url": url})
        count = asyncio.run(_run(settings, opened, span, mark, region))
    console.print(f"{count} ticks of {region or opened.sidecar.region} published as replay {mark.run}")


def report_skipped(tape: Tape) -> None:
    """Say which rows were left out, and how many."""
    for error in tape.skipped:
        console.print(f"skipped: {error.problem}", soft_wrap=True, markup=False)
    if tape.skipped:
        console.print(f"{len(tape.skipped)} rows skipped, {tape.row_count} kept")


async def _run(settings: IngestSettings, tape: Tape, span: Span, mark: Replay, region: str | None) -> int:
    await declare_streams(settings)
    total = -(-int((span.end - span.start).total_seconds()) // tape.step_seconds)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(tape.path.name, total=total)
        return await replay_tape(
            settings, tape, span, mark, region, progress=lambda done: bar.update(task, completed=done)
        )
