"""A backtest's result for a terminal: one table a tape, and the lines that say what it means."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from carbonshift.cli.narrow_table import narrow_table

__all__ = ["tape_table"]

COLUMNS = ("vs now", "vs best cap", "T", "not worse", "late", "done h")
LEAST_T = -1.0
"""Below it an interval of T says nothing."""


def tape_table(tape: Mapping[str, Any]) -> RenderableType:
    """The policies of one tape, over all starts and slacks; saved shares in % with their 95 % interval below them."""
    known = "day-ahead prices known" if tape["day_ahead_known"] else "from history alone"
    table = narrow_table(tape["tape"], COLUMNS)
    for name, row in tape["pooled"].items():
        late = f"{row['late']}" + (f"\n({row['unfinished']}?)" if row["unfinished"] else "")
        table.add_row(
            name,
            _percent(row["saved_share_of_run_now"]),
            _percent(row["saved_share_of_cap"], row["saved_share_of_cap_interval"]),
            _share(row["timing_share"], row["timing_share_interval"]),
            _percent(row["not_worse_than_cap_share"]),
            late,
            "-" if row["mean_hours"] is None else f"{row['mean_hours']:.1f}",
            style="bold" if name == "planner" else "",
        )
    caps = ", ".join(f"{each['cap_limit_w']:.0f} W at slack {each['slack']:g}" for each in tape["slacks"])
    runs = tape["pooled"]["run-now"]["runs"]
    lines = [
        f"{tape['price_market']} price, {tape['carbon_basis']} carbon, {known}; {runs} runs; all modelled",
        f"best static cap: {caps}",
        "saved: energy, carbon and GPU-hours. T = (cap - policy) / (cap - oracle)",
    ]
    if any(row["unfinished"] for row in tape["pooled"].values()):
        lines.append("(n?): the tape ends before those; their starts are left out of the row")
    return Group(table, *(Text(line, style="dim") for line in lines), Text())


def _percent(share: float | None, interval: tuple[float, float] | None = None) -> str:
    if share is None:
        return "-"
    around = f"\n[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval and interval[0] < interval[1] else ""
    return f"{share:.1%}{around}"


def _share(share: float | None, interval: tuple[float, float] | None) -> str:
    if share is None:
        return "-"
    told = interval and LEAST_T <= interval[0] < interval[1] - 5e-3
    return f"{share:.2f}" + (f"\n[{interval[0]:.2f}, {interval[1]:.2f}]" if interval and told else "")
