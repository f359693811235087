"""The `carbonshift` command: its subcommands, and one clear line where one of them cannot go on."""

import typer

from carbonshift.cli.commands import (
    backtest,
    demo,
    doctor,
    explain,
    forecast,
    record,
    recordings,
    replay,
    schema,
    train,
    up,
)
from carbonshift.common.errors import CarbonShiftError
from carbonshift.common.process import fail

__all__ = ["app", "main"]

app = typer.Typer(
    name="carbonshift",
    help="Makes GPU fleets follow the power grid.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(up.up)
app.command()(replay.replay)
app.command()(record.record)
app.command()(backtest.backtest)
app.command(context_settings={"allow_interspersed_args": False})(train.train)
app.command()(doctor.doctor)
app.command()(schema.schema)
app.add_typer(recordings.app, name="recordings")
app.add_typer(forecast.app, name="forecast")
app.add_typer(explain.app, name="explain")


def main() -> None:
    """Run the command line; a CarbonShiftError becomes one line on stderr and exit code 2 (bad input) or 1."""
    try:
        app()
    except CarbonShiftError as error:
        fail(error)
