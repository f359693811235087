"""A trial of narratives for a terminal: what became of the texts, of the lies, and of the times expected."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from carbonshift.cli.narrow_table import narrow_table

__all__ = ["narratives_tables"]

Row = Mapping[str, Any]


def narratives_tables(document: Row) -> RenderableType:
    """Each row of the first table is every transition told once."""
    parts: list[RenderableType] = [_texts(document["rows"])]
    if document["kinds"]:
        parts.append(_kinds(document["kinds"]))
    parts += [_times(document["tapes"]), *(Text(line, style="dim") for line in LINES)]
    return Group(*parts)


LINES = (
    "1st, 2nd: texts of the model taken at once, or after it was told what was wrong. false:",
    "of the texts published those that were falsified; numbers: in them that no fact has.",
    "in span: of the changes expected with a p10 and a p90, how many came between them.",
)


def _texts(rows: Sequence[Row]) -> Table:
    table = narrow_table(
        "narratives", ("told", "1st", "2nd", "template", "retries", "calls", "USD", "false", "numbers")
    )
    for row in rows:
        table.add_row(
            str(row["told_by"])[:22],
            *(str(row[name]) for name in ("transitions", "at_first", "at_second", "by_template", "retries", "calls")),
            f"{row['usd']:.2f}",
            "-" if row["false"] is None else str(row["false"]),
            str(row["strange_numbers"]),
        )
    return table


def _kinds(kinds: Mapping[str, Row]) -> Table:
    table = narrow_table("lies", ("tried", "refused", "undone", "published"))
    for kind, counts in kinds.items():
        table.add_row(kind, *(str(counts[name]) for name in ("tried", "refused", "undone", "published")))
    return table


def _times(tapes: Sequence[Row]) -> Table:
    table = narrow_table("expected times", ("cases", "expected", "in span", "of", "same state", "p50 off, h"))
    for tape in tapes:
        times = tape["expected_times"]
        off = times["median_error_hours"]
        table.add_row(
            tape["tape"][:22],
            *(str(times[name]) for name in ("cases", "expected", "within_both", "expected_both", "same_state")),
            "-" if off is None else f"{off:.2f}",
        )
    return table
