"""`carbonshift recordings`: the real grid tapes that come with CarbonShift."""

import json
import sys

import typer
from rich.console import Console
from rich.table import Table

from carbonshift.cli.options import JsonFlag
from carbonshift.common.events import rfc3339
from carbonshift.common.tape import open_tape
from carbonshift.ingest.bundled import bundled_tapes

__all__ = ["app"]

app = typer.Typer(help="Recordings of real grids.", no_args_is_help=True)


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
