"""Reads back what a command has written with `--json`, for a page about it."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from carbonshift.common.errors import InputError

__all__ = ["read_results"]


def read_results(
    paths: Sequence[Path], command: str, what: str, is_one: Callable[[Mapping[str, Any]], bool]
) -> list[dict[str, Any]]:
    """The documents at `paths`.

    Args:
        paths: in the order in which they are told.
        command: that writes such a document, `carbonshift backtest`.
        what: such a document is, as an error says it: `backtest`.
        is_one: whether a JSON object is such a document.
    Raises: InputError where there is none, or one that is no such document.
    """
    remedy = f"give what `{command} --json` wrote: RESULT.json ..."
    if not paths:
        raise InputError("no results", remedy)
    documents = []
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {error}", remedy) from error
        if not isinstance(document, dict) or not is_one(document):
            raise InputError(f"{path} is no {what}", remedy)
        documents.append(document)
    return documents
