"""What each policy did with the same start: power over time, against price and carbon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from carbonshift.backtest.report.drawing import COLOURS, Canvas, canvas, limits, note, svg, thinned
from carbonshift.backtest.report.wording import UNIT, hours, leading, money, plain

__all__ = ["Card", "schedules"]

Floats = NDArray[np.float64]

WIDTH_PX, MARGIN_LEFT_PX, MARGIN_RIGHT_PX = 340.0, 38.0, 44.0
HEIGHT_PX = 150.0
TICK_HOURS = (0.05, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 672)
MOST_TICKS = 7
CURVE_FROM, CURVE_TO = 0.1, 0.9
"""Part of the plot's height that price and carbon take where they stand behind the power."""
COLOUR_OF = {"oracle": "foresight"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One small plot of the row."""

    title: str
    note: str
    figure: Markup


def schedules(tape: Mapping[str, Any], key: str) -> list[Card]:
    """Price and carbon first, then each policy over the same hours."""
    example = tape["example"]
    if not example["hours"]:
        return []
    step_hours = example["step_seconds"] / 3_600.0
    edges = np.array([*example["hours"], example["hours"][-1] + step_hours])
    prices, carbons = np.array(example["prices_usd_per_mwh"]), np.array(example["carbon_g_per_kwh"])
    cards = [Card(title="Price and carbon", note="", figure=_grid(example, prices, carbons, edges, f"{key}-grid"))]
    highest_w = max(1.0, *(max(watts) for watts in example["power_w"].values()))
    for number, (name, watts) in enumerate(example["power_w"].items()):
        drawn = _empty(example, edges)
        axes = drawn.axes
        axes.set_ylim(0.0, highest_w * 1.06)
        axes.locator_params(axis="y", nbins=4)
        colour = "accent" if name == leading(tape) else COLOUR_OF.get(name, "other")
        power, power_edges = thinned(np.array(watts), edges)
        axes.stairs(power, power_edges, fill=True, color=COLOURS[colour], linewidth=0, alpha=0.55)
        for values, what in ((prices, "price"), (carbons, "carbon")):
            heights, curve_edges = thinned(values, edges)
            axes.stairs(_behind(heights) * highest_w, curve_edges, baseline=None, **LINE[what])
        axes.stairs(power, power_edges, baseline=None, color=COLOURS[colour], linewidth=1.3)
        _deadline(axes, example)
        note(axes, "W", (0, 1), ("axes fraction", "axes fraction"), (-4, 8), colour="muted", across="right")
        came_to = _came_to(tape, name)
        spoken = f"{name}: power over {hours(float(edges[-1]))} hours, {came_to or 'outcome not known'}"
        cards.append(Card(title=plain(name), note=came_to, figure=svg(drawn.figure, f"{key}-{number}", spoken)))
    return cards


LINE: dict[str, dict[str, Any]] = {
    "price": {"color": COLOURS["price"], "linewidth": 1.2},
    "carbon": {"color": COLOURS["carbon"], "linewidth": 1.2, "linestyle": (0, (3, 2))},
}


def _empty(example: Mapping[str, Any], edges: Floats) -> Canvas:
    drawn = canvas(WIDTH_PX, HEIGHT_PX, left=MARGIN_LEFT_PX, right=MARGIN_RIGHT_PX, top=22, bottom=22)
    last = max(float(edges[-1]), example["deadline_hours"])
    drawn.axes.set_xlim(0.0, last)
    every = next((each for each in TICK_HOURS if last / each <= MOST_TICKS), last / MOST_TICKS)
    ticks = np.arange(0.0, last + 1e-9, every)
    drawn.axes.set_xticks(ticks, [f"{tick:.4g}{UNIT}h" for tick in ticks])
    drawn.axes.grid(visible=True)
    return drawn


def _grid(example: Mapping[str, Any], prices: Floats, carbons: Floats, edges: Floats, key: str) -> Markup:
    drawn = _empty(example, edges)
    right = drawn.axes.twinx()
    right.set_frame_on(False)
    for axes, values, what, unit, corner, beside in (
        (drawn.axes, prices, "price", "$/MWh", (0.0, 1.0), 4 - MARGIN_LEFT_PX),
        (right, carbons, "carbon", "g/kWh", (1.0, 1.0), 4.0),
    ):
        axes.set_ylim(*limits([float(values.min()), float(values.max())], pad=0.12))
        axes.stairs(*thinned(values, edges), baseline=None, **LINE[what])
        axes.locator_params(axis="y", nbins=4)
        axes.tick_params(axis="y", left=False, right=False, labelcolor=COLOURS[what], pad=4)
        note(axes, unit, corner, ("axes fraction", "axes fraction"), (beside, 8), colour=what)
    if prices.min() < 0 < prices.max():
        drawn.axes.axhline(0.0, color=COLOURS["muted"], linewidth=0.8)
    _deadline(drawn.axes, example)
    spoken = (
        f"Price from {money(float(prices.min()))} to {money(float(prices.max()))} per MWh and carbon from"
        f" {carbons.min():.0f} to {carbons.max():.0f} g/kWh over {hours(float(edges[-1]))} hours"
    )
    return svg(drawn.figure, key, spoken)


def _deadline(axes: Axes, example: Mapping[str, Any]) -> None:
    at = example["deadline_hours"]
    axes.axvline(at, color=COLOURS["bad"], linewidth=1.6)
    before = at > axes.get_xlim()[1] / 2.0
    offset, across = ((-4, 8), "right") if before else ((4, 8), "left")
    note(axes, "deadline", (at, 1.0), ("data", "axes fraction"), offset, colour="bad", across=across)


def _behind(values: Floats) -> Floats:
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.full(values.shape, (CURVE_FROM + CURVE_TO) / 2.0)
    placed: Floats = CURVE_FROM + (values - low) / (high - low) * (CURVE_TO - CURVE_FROM)
    return placed


def _came_to(tape: Mapping[str, Any], name: str) -> str:
    """What this one run came to."""
    run = _run(tape, name)
    if run is None:
        return ""
    cost = money(run["total_usd"])
    if not run["finished"]:
        return f"not finished, {cost}"
    late = ", late" if run["late"] else ""
    return f"done after {hours(run['finish_seconds'] / 3_600.0)}{UNIT}h{late}, {cost}"


def _run(tape: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    example = tape["example"]
    for each in tape["slacks"]:
        if each["slack"] == example["slack"]:
            runs: Sequence[Mapping[str, Any]] = each["policies"].get(name, {}).get("runs", ())
            return next((run for run in runs if run["start_time"] == example["start"]), None)
    return None
