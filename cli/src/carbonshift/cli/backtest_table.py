"""A backtest's result for a terminal: one table a tape, and the lines that say what it means."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["tape_table"]

COLUMNS = ("bill $", "CO2 kg", "total $", "vs now", "vs best cap", "T", "not worse", "late", "done h")


def tape_table(tape: Mapping[str, Any]) -> RenderableType:
    """The policies of one tape, sums over all starts and slacks, saved shares in % with their 95 % interval."""
    known = "day-ahead prices known" if tape["day_ahead_known"] else "from history alone"
    table = Table(
        box=None,
        header_style="dim",
        title=f"{tape['tape']} ({tape['price_market']} price, {tape['carbon_basis']} carbon, {known})",
        title_style="bold",
    )
    table.add_column("", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in tape["pooled"].items():
        late = f"{row['late']}" + (f" +{row['unfinished']}?" if row["unfinished"] else "")
        table.add_row(
            name,
            f"{row['cost_usd']:.2f}",
            f"{row['carbon_kg']:.1f}",
            f"{row['total_usd']:.2f}",
            _percent(row["saved_share_of_run_now"]),
            _percent(row["saved_share_of_cap"], row["saved_share_of_cap_interval"]),
            _share(row["timing_share"], row["timing_share_interval"]),
            _percent(row["not_worse_than_cap_share"]),
            late,
            "-" if row["mean_hours"] is None else f"{row['mean_hours']:.1f}",
            style="bold" if name == "planner" else "",
        )
    caps = ", ".join(f"{each['cap_limit_w']:.0f} W at slack {each['slack']:g}" for each in tape["slacks"])
    lines = [f"sums over {tape['pooled']['run-now']['runs']} runs; the best static cap: {caps}; all modelled"]
    if any(row["unfinished"] for row in tape["pooled"].values()):
        lines.append("+n?: runs that the tape ends before; their starts are left out of the policy's row")
    return Group(table, *(Text(line, style="dim") for line in lines), Text())


def _percent(share: float | None, interval: tuple[float, float] | None = None) -> str:
    if share is None:
        return "-"
    around = f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else ""
    return f"{share:.1%}{around}"


def _share(share: float | None, interval: tuple[float, float] | None) -> str:
    if share is None:
        return "-"
    around = f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    return f"{share:.2f}{around}"
