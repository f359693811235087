"""What several commands read from their command line."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from carbonshift.common.embedded import broker_url
from carbonshift.common.errors import InputError
from carbonshift.common.reach import reach_broker
from carbonshift.common.settings import Settings

__all__ = ["JsonFlag", "SkipBad", "TapeArgument", "WaitFlag", "console", "reached_broker", "to_moment", "to_speed"]

SLOWEST = 0.01

console = Console(stderr=True, highlight=False)
"""For people; stdout is for what a machine may read."""

TapeArgument = Annotated[Path, typer.Argument(help="A tape (.csv, .csv.gz, .parquet) or the name of a bundled one.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out and report each, instead of refusing.")]
WaitFlag = Annotated[bool, typer.Option("--wait", help="Wait for the broker instead of failing within 5 s.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def to_moment(name: str, text: str | None, clock: tzinfo = UTC) -> datetime | None:
    """A moment in UTC out of an option: a date is its midnight on `clock`, a time needs its zone.

    Raises: InputError naming the option.
    """
    if text is None:
        return None
    remedy = "write it like 2026-01-31 or 2026-01-31T18:00:00Z"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{name} {text!r} is not a time", remedy) from error
    if moment.tzinfo is None:
        if not re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text):
            raise InputError(f"{name} {text!r} has no zone", remedy)
        moment = moment.replace(tzinfo=clock)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InputError(f"{name} {text!r} is beyond the calendar", remedy) from error


def to_speed(text: str) -> float | None:
    """Seconds of event time per second; None for `max`.

    Raises: InputError where it is neither `max` nor a number from 0.01 on.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not SLOWEST <= speed < float("inf"):
        raise InputError(f"--speed {text!r} is not a speed", "give a number such as 60, 0.01 at least, or max")
    return speed


@contextmanager
def reached_broker(settings: Settings, *, wait: bool) -> Iterator[str]:
    """The URL of a broker that has answered: NATS_URL, or the embedded one.

    Raises: BrokerUnreachableError within 5 s unless `wait`.
    """
    with broker_url(settings) as url:
        asyncio.run(reach_broker(settings.model_copy(update={"nats_url": url}), wait=wait, progress=console.print))
        yield url
