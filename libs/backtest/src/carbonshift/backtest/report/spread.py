"""How much a policy saves from one start to the next."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from carbonshift.backtest.report.drawing import COLOURS, FIGURE_PX, canvas, label, note, svg
from carbonshift.backtest.report.wording import MINUS, UNIT, leading, percent, percent_range

__all__ = ["spread"]

ROW_PX = 27.0
FAR_DOWN = 2.0
"""Losses beyond so many times the largest saving are shown by an arrow and in figures."""
LEAST_PERCENT = 2.0
COLOUR_OF = {"oracle": "foresight"}


def spread(tape: Mapping[str, Any], key: str) -> Markup | None:
    """From 5 % to 95 % of the starts, the middle half thick, the median a dot; None where no saving is known."""
    rows = {
        name: row["spread_of_saving"]
        for name, row in tape["pooled"].items()
        if name != "static-cap" and row["spread_of_saving"]
    }
    if not rows:
        return None
    high = max(LEAST_PERCENT, *(each["p95"] for each in rows.values()))
    edge = -FAR_DOWN * high
    low = min(-0.25 * high, max(edge, min(each["p5"] for each in rows.values())))
    drawn = canvas(FIGURE_PX, ROW_PX * len(rows) + 44, left=122, right=124, top=20, bottom=24)
    axes = drawn.axes
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [label(name) for name in rows])
    axes.tick_params(axis="y", labelcolor=COLOURS["ink"], pad=10)
    axes.grid(visible=True, axis="x")
    axes.locator_params(axis="x", nbins=4, steps=[1, 2, 2.5, 5, 10])
    axes.xaxis.set_major_formatter(lambda value, _: f"{MINUS if value < 0 else ''}{abs(value):g}{UNIT}%")
    axes.axvline(0.0, color=COLOURS["muted"], linewidth=1.2)
    for number, (name, each) in enumerate(rows.items()):
        colour = COLOURS["accent" if name == leading(tape) else COLOUR_OF.get(name, "other")]
        p5, p25, p50, p75, p95 = (max(each[key], low) for key in ("p5", "p25", "p50", "p75", "p95"))
        axes.plot([p5, p95], [number] * 2, color=colour, linewidth=1.6)
        axes.plot([p25, p75], [number] * 2, color=colour, linewidth=7, solid_capstyle="butt")
        if each["p50"] >= low:
            axes.plot([p50], [number], "o", color=COLOURS["paper"], markeredgecolor=colour, markersize=6)
        if each["p5"] < low:
            axes.plot([low], [number], "<", color=colour, markersize=6)
        shown = percent_range((each["p5"] / 100.0, each["p95"] / 100.0))
        note(axes, shown, (1.0, number), ("axes fraction", "data"), (8, 0), down="center_baseline")
    note(axes, "5 % to 95 %", (1.0, 1.0), ("axes fraction", "axes fraction"), (8, 7), colour="muted")
    spoken = "; ".join(
        f"{name} {percent_range((each['p5'] / 100, each['p95'] / 100))}, median {percent(each['p50'] / 100)}"
        for name, each in rows.items()
    )
    return svg(drawn.figure, key, f"Saving against the best static cap, from start to start: {spoken}")
