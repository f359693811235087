"""The rows of the report's tables, each cell as it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from carbonshift.backtest.report.front import lines
from carbonshift.backtest.report.waterfall import bars, scale_usd, shown
from carbonshift.backtest.report.wording import (
    UNIT,
    called,
    count,
    given,
    hours,
    leading,
    magnitude,
    money,
    number,
    percent,
    percent_range,
    plain,
    share,
    share_range,
)

__all__ = ["Cell", "Row", "Table", "by_deadline", "causes", "curve", "policies", "price_and_carbon", "same_clock"]


FINER = 100.0
"""Where rows differ by little, they are shown as if they were so much smaller: with two decimals more."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, and what stands smaller below it."""

    text: str
    below: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A header and its cells; `leads` where the report is about it."""

    header: str
    cells: tuple[Cell, ...]
    leads: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A caption, the heads of the columns, the first one's included, and the rows."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]


def _ranged(row: Mapping[str, Any], key: str, shown: Callable[[float | None], str], around: Callable[..., str]) -> Cell:
    interval = row[f"{key}_interval"]
    if row[key] is None or interval is None or interval[1] - interval[0] < 1e-12:  # noqa: PLR2004
        return Cell(shown(row[key]))
    return Cell(shown(row[key]), around(interval))


def _late(row: Mapping[str, Any]) -> Cell:
    return Cell(count(row["late"]), f"{count(row['unfinished'])} unfinished" if row["unfinished"] else "")


def _sum(row: Mapping[str, Any], key: str) -> float | None:
    """None where no run was finished: that is not free of charge."""
    value: float = row[key]
    return None if row["mean_hours"] is None else value


def policies(tape: Mapping[str, Any]) -> Table:
    """Every policy over all starts and deadlines."""
    pooled = tape["pooled"]
    scale = {key: magnitude(row[key] for row in pooled.values()) for key in ("cost_usd", "carbon_kg", "total_usd")}
    rows = tuple(
        Row(
            header=plain(name),
            leads=name == leading(tape),
            cells=(
                Cell(money(_sum(row, "cost_usd"), scale["cost_usd"])),
                Cell(number(_sum(row, "carbon_kg"), scale["carbon_kg"])),
                Cell(money(_sum(row, "total_usd"), scale["total_usd"])),
                _ranged(row, "saved_share_of_run_now", percent, percent_range),
                _ranged(row, "saved_share_of_cap", percent, percent_range),
                _ranged(row, "timing_share", share, share_range),
                Cell(percent(row["not_worse_than_cap_share"])),
                _late(row),
                Cell(hours(row["mean_hours"])),
                Cell(number(row["pauses_per_run"], 1.0)),
            ),
        )
        for name, row in pooled.items()
    )
    runs = count(max(row["runs"] for row in pooled.values()))
    return Table(
        caption=f"All policies, sums over {runs} runs; below a figure its 95{UNIT}% interval",
        heads=(
            "policy",
            "bill",
            "CO₂, kg",
            "total",
            "saved against running at once",
            "saved against best static cap",
            "timing share T",
            "starts not worse than cap",
            "late",
            "mean hours",
            "pauses a run",
        ),
        rows=rows,
    )


def by_deadline(tape: Mapping[str, Any]) -> Table:
    """The leading policy, deadline by deadline, with perfect foresight beside it."""
    name = leading(tape)
    rows = []
    for each in tape["slacks"]:
        row, best = each["policies"][name], each["policies"].get("oracle", {})
        limit = each["cap_limit_w"]
        cells = (
            Cell(f"{number(limit, 1_000.0)}{UNIT}W" if limit is not None else number(None)),
            _ranged(row, "saved_share_of_run_now", percent, percent_range),
            _ranged(row, "saved_share_of_cap", percent, percent_range),
            Cell(percent(best.get("saved_share_of_cap"))),
            _ranged(row, "timing_share", share, share_range),
            _late(row),
        )
        rows.append(Row(header=f"{given(each['deadline_hours'])}{UNIT}h", cells=cells))
    return Table(
        caption=f"{plain(name)}, by the deadline it was given",
        heads=(
            "deadline after",
            "best static cap",
            "saved against running at once",
            "saved against best static cap",
            "foresight against best static cap",
            "timing share T",
            "late",
        ),
        rows=tuple(rows),
    )


def causes(tape: Mapping[str, Any]) -> Table:
    """The waterfall in figures."""
    rows = bars(tape["pooled"], leading(tape))
    scale = scale_usd(rows)
    return Table(
        caption=f"From the total of running at once to that of {called(leading(tape))}",
        heads=("", "changes the total by", "total"),
        rows=tuple(
            Row(
                header=bar.label,
                leads=bar.is_total,
                cells=(Cell("" if bar.is_total else shown(bar, rows)), Cell(money(bar.end_usd, scale))),
            )
            for bar in rows
        ),
    )


def price_and_carbon(tape: Mapping[str, Any]) -> Table:
    """The front in figures."""
    points = [point for each in lines(tape["pareto"]).values() for point in each]
    bill, carbon = (magnitude(point[key] for point in points) / FINER for key in ("cost_usd", "carbon_kg"))
    return Table(
        caption="Bill and CO₂ by the price of carbon that the policy is told",
        heads=("policy", "price of carbon", "bill", "CO₂, kg"),
        rows=tuple(
            Row(
                header=plain(point["policy"]),
                cells=(
                    Cell(money(point["usd_per_tonne"], 10_000.0) + ("" if point["usd_per_tonne"] is None else "/t")),
                    Cell(money(point["cost_usd"], bill)),
                    Cell(number(point["carbon_kg"], carbon)),
                ),
            )
            for point in points
        ),
    )


def same_clock(tape: Mapping[str, Any]) -> Table:
    """What a policy seems to save while it has not done its work, beside what it saves once it has."""
    rows = tuple(
        Row(
            header=plain(name),
            leads=name == leading(tape),
            cells=tuple(
                Cell(percent(value))
                for value in (
                    row["bill_saved_share_of_run_now"],
                    row["carbon_saved_share_of_run_now"],
                    row["same_clock"]["work_share"],
                    row["same_clock"]["bill_saved_share"],
                    row["same_clock"]["carbon_saved_share"],
                )
            ),
        )
        for name, row in tape["pooled"].items()
        if name != "run-now"
    )
    return Table(
        caption="Both ways of counting, saved against running at once",
        heads=(
            "policy",
            "work completed: bill",
            "work completed: CO₂",
            "same clock: work done",
            "same clock: bill",
            "same clock: CO₂",
        ),
        rows=rows,
    )


def curve(document: Mapping[str, Any]) -> Table:
    """The board."""
    board = document["curve"]
    points = zip(board["limits_w"], board["draws_w"], board["speeds"], strict=True)
    return Table(
        caption="What the board draws and how fast it works under each power limit",
        heads=("limit, W", "mean draw, W", "speed"),
        rows=tuple(
            Row(header=number(limit, 1_000.0), cells=(Cell(number(draw, 100.0)), Cell(percent(speed))))
            for limit, draw, speed in points
        ),
    )
