"""A table that fits into 80 columns of a terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

__all__ = ["narrow_table"]


def narrow_table(title: str, columns: Sequence[str]) -> Table:
    """Without rows yet: the names of its rows come first, figures to the right of them."""
    table = Table(
        box=None,
        header_style="dim",
        title=Text(title),
        title_style="bold",
        title_justify="left",
        padding=(0, 0, 0, 1),
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
