"""`carbonshift schema`: the contract of the events, as AsyncAPI with their JSON Schemas."""

import json
from pathlib import Path
from typing import Annotated

import typer

from carbonshift.common.errors import InputError

__all__ = ["schema"]


def schema(
    *, out: Annotated[Path | None, typer.Option(help="Write it to this file instead of stdout.")] = None
) -> None:
    """Print the AsyncAPI document of all events, JSON Schemas included."""
    from carbonshift.cli.asyncapi import asyncapi_document  # noqa: PLC0415  # builds every service: statsmodels and all

    text = json.dumps(asyncapi_document(), indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}", "name a file that can be written") from error
