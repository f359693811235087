"""The report of `carbonshift backtest --html`: one page, complete in itself."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from carbonshift.backtest.report import wording
from carbonshift.common.errors import InputError

__all__ = ["page", "write_page"]


def page(document: Mapping[str, Any]) -> str:
    """The page of a document as `carbonshift backtest --json` writes it; the same text for the same document."""
    from carbonshift.backtest.report.sections import sections  # noqa: PLC0415  # matplotlib takes seconds to import
    from carbonshift.backtest.report.tables import curve  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("carbonshift.backtest.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("count", "given", "percent", "plain", "small_percent"):
        environment.filters[name] = getattr(wording, name)
    names = dict.fromkeys(name for tape in document["tapes"] for name in tape["pooled"])
    return environment.get_template("page.html").render(
        document=document,
        sections=sections(document),
        curve=curve(document),
        policies={name: wording.EXPLAINED.get(name, "A policy of your own.") for name in names},
    )


def write_page(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page, whole or not at all: until then `path`, or what it links to, holds what it held.

    Raises: InputError where it cannot be written.
    """
    body = page(document).encode("utf-8", "replace")
    target = path.resolve()
    part = target.with_name(f".{target.name}.part{os.getpid()}")
    try:
        part.write_bytes(body)
        part.replace(target)
    except OSError as error:
        raise InputError(f"--html {path}: {error.strerror or error}", "make room, or name another file") from error
    finally:
        part.unlink(missing_ok=True)
