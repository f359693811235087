"""`carbonshift recordings`: tapes of real grids, those that come with CarbonShift and those fetched from providers."""

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from carbonshift.cli.options import JsonFlag, console, to_moment
from carbonshift.common.errors import InputError
from carbonshift.common.events import rfc3339
from carbonshift.common.tape import open_tape
from carbonshift.ingest.bundled import bundled_tapes
from carbonshift.ingest.history import Wanted, Written, fetch_history
from carbonshift.ingest.settings import IngestSettings

__all__ = ["app"]

MARKETS = {"rtm": "caiso-rtm", "dam": "caiso-dam"}
NO_CARBON = "none"

app = typer.Typer(help="Recordings of real grids.", no_args_is_help=True)
fetch = typer.Typer(help="Write a tape of real history.", no_args_is_help=True)
app.add_typer(fetch, name="fetch")


@app.callback()
def recordings() -> None:
    """Recordings of real grids."""


@app.command("list")
def list_recordings(*, as_json: JsonFlag = False) -> None:
    """List the bundled recordings; their licences stand in the README beside them."""
    tapes = {name: open_tape(path) for name, path in bundled_tapes().items()}
    rows = [
        {
            "name": name,
            "region": tape.sidecar.region,
            "first": rfc3339(tape.first),
            "last": rfc3339(tape.last),
            "step_seconds": tape.step_seconds,
            "rows": tape.row_count,
            "price_market": tape.sidecar.price_market.value,
            "carbon_basis": tape.sidecar.carbon_basis.value,
            "path": str(tape.path),
        }
        for name, tape in tapes.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, header_style="bold")
    for column in ("name", "region", "first", "last", "step", "rows", "price", "carbon"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(
            str(row["name"]),
            str(row["region"]),
            str(row["first"])[:10],
            str(row["last"])[:10],
            f"{int(str(row['step_seconds'])) // 60} min",
            str(row["rows"]),
            str(row["price_market"]),
            str(row["carbon_basis"]),
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


@fetch.callback()
def fetch_recording() -> None:
    """Write a tape of real history, fetched from its providers; the same command resumes what was interrupted."""


@fetch.command("caiso")
def fetch_caiso(
    *,
    start: Annotated[str, typer.Option("--from", help="First moment: a date (UTC) or a time with zone.")],
    end: Annotated[str, typer.Option("--to", help="First moment that is left out.")],
    out: Annotated[Path, typer.Option(help="The tape to write: .csv, .csv.gz or .parquet; it must not exist yet.")],
    node: Annotated[str | None, typer.Option(help="Pricing node; CARBONSHIFT_CAISO_NODE without it.")] = None,
    market: Annotated[str, typer.Option(help="rtm (five minutes) or dam (hours, known the day before).")] = "rtm",
    carbon: Annotated[
        str, typer.Option(help="Source of the carbon: caiso-outlook, watttime, electricitymaps, or none.")
    ] = "caiso-outlook",
) -> None:
    """Write the prices of a CAISO node, and the carbon of its grid, to a tape."""
    first, behind = (cast("datetime", to_moment(*given)) for given in (("--from", start), ("--to", end)))
    if market not in MARKETS:
        raise InputError(f"--market {market!r} is no market", f"give {' or '.join(MARKETS)}")
    settings = IngestSettings.load()
    if node is not None:
        try:
            settings = IngestSettings.load(caiso_node=node)
        except InputError as error:
            raise InputError(f"--node {node!r} is no NODE_ID", "give one such as TH_NP15_GEN-APND") from error
    wanted = Wanted(
        region="caiso",
        price_source=MARKETS[market],
        carbon_source=None if carbon == NO_CARBON else carbon,
        start=first,
        end=behind,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(out.name, total=None)

        def say(line: str) -> None:
            console.print(line, soft_wrap=True, markup=False)

        def on_part(done: int, total: int, line: str) -> None:
            bar.update(task, completed=done, total=total)
            if not console.is_terminal:
                say(f"{line} ({done} of {total})")

        try:
            written = asyncio.run(fetch_history(wanted, settings, out, say=say, progress=on_part))
        except KeyboardInterrupt:
            say("interrupted; the same command resumes")
            raise typer.Exit(130) from None
    console.print(_told(written, out), soft_wrap=True, markup=False)


def _told(written: Written, out: Path) -> str:
    """The last line: what the tape holds, and what it lacks."""
    told = [f"{written.intervals} intervals written to {out}"]
    for signal, count in written.counts.items():
        if missing := count.expected - count.known:
            unfit = f" ({count.unfit} of them came, but are no {signal} that a tape holds)" if count.unfit else ""
            told.append(f"{missing} of {count.expected} {signal} values are missing{unfit}")
        if count.estimated:
            told.append(f"{count.estimated} of {count.known} {signal} values are the provider's own estimates")
    return "; ".join(told)
