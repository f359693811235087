"""Money against carbon: what a policy comes to in both, as the price of carbon rises."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from carbonshift.backtest.report.drawing import COLOURS, FIGURE_PX, canvas, label, limits, note, svg
from carbonshift.backtest.report.wording import MINUS, magnitude, money, number

__all__ = ["front", "lines", "marks"]

COLOUR_OF = {"planner": "accent", "oracle": "foresight"}
MARKER_OF = {"planner": "o", "oracle": "D", "static-cap": "s", "run-now": "^"}
NAMES = {"static-cap": "best static cap", "run-now": "running at once"}
NO_ROOM_PX = 24.0
"""Ends of a line nearer than this get one note for both."""
LEFT_PX = 58.0
LETTER_PX, LINE_PX, GAP_PX = 6.6, 13.0, 8.0
LOWER_PX = tuple(LINE_PX * number for number in range(-9, 10))
SHORT = ((1e6, 1e6, "M"), (1e4, 1e3, "k"))
"""Long numbers on an axis: from where on, in units of what."""
FAR_AWAY = 3.0
"""Running at once is shown in figures where it would press all the rest into less than such a part of the plot."""

Point = Mapping[str, Any]


def lines(points: Sequence[Point]) -> dict[str, list[Point]]:
    """By policy, in the order of their price of carbon."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point["policy"], []).append(point)
    return {name: sorted(each, key=lambda point: point["usd_per_tonne"] or 0.0) for name, each in found.items()}


def front(tape: Mapping[str, Any], key: str) -> Markup | None:
    """The plot; None where no policy was asked for both."""
    found = lines(tape["pareto"])
    near = {name: points for name, points in found.items() if name != "run-now"}
    if not near:
        return None
    drawn = canvas(FIGURE_PX, 300, left=LEFT_PX, right=20, top=24, bottom=44)
    axes = drawn.axes
    far = _far(found)
    shown = near if far else found
    every = [point for points in shown.values() for point in points]
    bills, carbons = ([point[column] for point in every] for column in ("cost_usd", "carbon_kg"))
    axes.set_xlim(*limits(bills, pad=0.14))
    axes.set_ylim(*limits(carbons, pad=0.16))
    axes.grid(visible=True)
    axes.locator_params(nbins=4, steps=[1, 2, 5, 10])  # steps of one digit, as `_tick` shows them
    scales = magnitude(bills), magnitude(carbons)
    axes.xaxis.set_major_formatter(lambda value, _: _tick(value, axes.get_xlim(), "$"))
    axes.yaxis.set_major_formatter(lambda value, _: _tick(value, axes.get_ylim(), ""))
    axes.set_xlabel("energy bill")
    note(axes, "CO₂ in kg", (0, 1), ("axes fraction", "axes fraction"), (-LEFT_PX + 4, 8), colour="muted")
    for name, points in shown.items():
        _line(axes, name, points)
    _words(axes, shown)
    if far:
        (point,) = found["run-now"]
        where = f"running at once: {money(point['cost_usd'], scales[0])}, {number(point['carbon_kg'], scales[1])} kg ↗"
        note(axes, where, (1, 1), ("axes fraction", "axes fraction"), (0, 8), colour="muted", across="right")
    spoken = "; ".join(
        f"{name} from {money(points[0]['cost_usd'])} and {number(points[0]['carbon_kg'])} kg"
        f" to {money(points[-1]['cost_usd'])} and {number(points[-1]['carbon_kg'])} kg"
        for name, points in found.items()
    )
    return svg(drawn.figure, key, f"Energy bill against CO2: {spoken}")


def marks(tape: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which policy's line has which colour, of those that are lines."""
    found = lines(tape["pareto"])
    return [(name, COLOUR_OF.get(name, "other")) for name, points in found.items() if len(points) > 1]


def _far(found: Mapping[str, Sequence[Point]]) -> bool:
    now = found.get("run-now")
    rest = [point for name, points in found.items() if name != "run-now" for point in points]
    if not now or len(rest) < 2:  # noqa: PLR2004
        return False
    for column in ("cost_usd", "carbon_kg"):
        values = [point[column] for point in rest]
        width = max(values) - min(values)
        if max(now[0][column] - max(values), min(values) - now[0][column]) > FAR_AWAY * width:
            return True
    return False


def _tick(value: float, ends: tuple[float, float], prefix: str) -> str:
    largest = max(map(abs, ends))
    _, per, suffix = next((each for each in SHORT if largest >= each[0]), (0.0, 1.0, ""))
    span = (ends[1] - ends[0]) / per
    decimals = max(0, 1 - math.floor(math.log10(span))) if span < 10 else 0  # noqa: PLR2004
    return f"{MINUS if value < 0 else ''}{prefix}{abs(value) / per:,.{decimals}f}{suffix}"


def _line(axes: Axes, name: str, points: Sequence[Point]) -> None:
    axes.plot(
        [point["cost_usd"] for point in points],
        [point["carbon_kg"] for point in points],
        color=COLOURS[COLOUR_OF.get(name, "other")],
        linewidth=1.6,
        marker=MARKER_OF.get(name, "o"),
        markersize=6,
        markeredgecolor=COLOURS["paper"],
        markeredgewidth=0.8,
    )


def _words(axes: Axes, shown: Mapping[str, Sequence[Point]]) -> None:
    """Beside every single point and both ends of every line, none over another; perfect foresight's to the left."""
    taken: list[tuple[float, float, float]] = []
    right_end = axes.transAxes.transform((1.0, 0.0))[0]
    for name, points in shown.items():
        ends = {label(NAMES.get(name, name)): points[0]} if len(points) == 1 else _ends(axes, points)
        for text, point in ends.items():
            x, y = axes.transData.transform((point["cost_usd"], point["carbon_kg"]))
            width = LETTER_PX * len(text)
            left = name == "oracle" or x + GAP_PX + width > right_end
            lasts = len(points) > 1 and point is points[-1]
            wanted = -LINE_PX if left and lasts else 0.0  # below its line, which comes from the left
            begin = x - GAP_PX - width if left else x + GAP_PX
            lower = next(
                down
                for down in sorted(LOWER_PX, key=lambda down: abs(down - wanted))
                if not any(
                    abs(y + down - other) < LINE_PX and begin < stop and start < begin + width
                    for start, stop, other in taken
                )
            )
            taken.append((begin, begin + width, y + lower))
            note(
                axes,
                text,
                (point["cost_usd"], point["carbon_kg"]),
                ("data", "data"),
                (-GAP_PX if left else GAP_PX, lower),
                colour=COLOUR_OF.get(name, "muted"),
                across="right" if left else "left",
                down="center_baseline",
            )


def _ends(axes: Axes, points: Sequence[Point]) -> dict[str, Point]:
    first, last = points[0], points[-1]
    apart = axes.transData.transform([(point["cost_usd"], point["carbon_kg"]) for point in (first, last)])
    if abs(apart[0] - apart[1]).max() < NO_ROOM_PX:
        return {f"{_price(first)} to {_price(last)}": first}
    return {_price(first): first, _price(last): last}


def _price(point: Point) -> str:
    return f"${point['usd_per_tonne'] or 0.0:,.0f}/t"
