"""Where a policy's saving comes from: from the total of running at once, cause by cause, down to its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from carbonshift.backtest.report.drawing import COLOURS, FIGURE_PX, canvas, label, note, svg
from carbonshift.backtest.report.wording import leading, magnitude, money

__all__ = ["Bar", "bars", "scale_usd", "shown", "waterfall"]

CAUSES = {
    "cap_efficiency": "less energy",
    "price_timing": "cheaper hours",
    "carbon_timing": "cleaner hours",
    "parked_draw": "draw while waiting",
    "slowdown": "longer occupied",
}
ROW_PX = 27.0
BAR_HEIGHT = 0.62
GAP_PX = 5.0
FINER = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row, in USD."""

    label: str
    colour: str
    begin_usd: float
    end_usd: float
    is_total: bool

    @property
    def change_usd(self) -> float:
        """Of a total what it comes to, of a cause what it adds to the total: negative where it saves."""
        return self.end_usd - self.begin_usd


def _total(name: str, usd: float, colour: str) -> Bar:
    return Bar(label=label(name), colour=colour, begin_usd=0.0, end_usd=usd, is_total=True)


def bars(pooled: Mapping[str, Any], name: str) -> list[Bar]:
    """From running at once on the same starts to the policy `name`; what came to nothing is left out."""
    row = pooled[name]
    level = row["total_usd"] + row["split_usd"]["total"]
    rows = [_total("running at once", level, "muted")]
    for cause, words in CAUSES.items():
        saved = row["split_usd"][cause]
        if abs(saved) > 1e-9 * max(abs(rows[0].end_usd), abs(row["total_usd"])):
            colour = "good" if saved > 0 else "bad"
            rows.append(Bar(label=words, colour=colour, begin_usd=level, end_usd=level - saved, is_total=False))
            level -= saved
    return [*rows, _total(name, row["total_usd"], "accent")]


def waterfall(tape: Mapping[str, Any], key: str) -> Markup:
    """The bars as a figure, with the best static cap and perfect foresight beside them."""
    pooled, name = tape["pooled"], leading(tape)
    rows = bars(pooled, name)
    spoken = "; ".join(f"{bar.label} {shown(bar, rows)}" for bar in rows)
    compared = {"static-cap": ("best static cap", "other"), "oracle": ("perfect foresight", "foresight")}
    same_starts = [other for other in compared if other in pooled and other != name]
    if not any(pooled[other]["unfinished"] for other in (name, *same_starts)):
        rows += [_total(compared[other][0], pooled[other]["total_usd"], compared[other][1]) for other in same_starts]
    drawn = canvas(FIGURE_PX, ROW_PX * len(rows) + 12, left=122, right=78, top=6, bottom=6)
    axes = drawn.axes
    ends = [end for bar in rows for end in (bar.begin_usd, bar.end_usd)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    axes.set_xlim(low, high if high > low else low + 1.0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks(range(len(rows)), [bar.label for bar in rows])
    axes.tick_params(axis="y", labelcolor=COLOURS["ink"], pad=8)
    axes.axvline(0.0, color=COLOURS["line"], linewidth=1)
    for number, bar in enumerate(rows):
        axes.barh(number, bar.change_usd, BAR_HEIGHT, bar.begin_usd, color=COLOURS[bar.colour])
        if number + 1 < len(rows) and not rows[number + 1].is_total:
            reach = (number - BAR_HEIGHT / 2, number + 1 + BAR_HEIGHT / 2)
            axes.plot([bar.end_usd] * 2, reach, color=COLOURS["muted"], linewidth=0.7)
        end = max(bar.begin_usd, bar.end_usd)
        note(axes, shown(bar, rows), (end, number), ("data", "data"), (GAP_PX, 0), down="center_baseline")
    return svg(drawn.figure, key, f"Waterfall from running at once to {name}: {spoken}")


def scale_usd(rows: list[Bar]) -> float:
    """For the decimals of all the money in the figure: one more than the totals need where they are small."""
    return magnitude(bar.end_usd for bar in rows) / FINER


def shown(bar: Bar, rows: list[Bar]) -> str:
    """A total, or the change by a cause with its sign."""
    text = money(bar.change_usd, scale_usd(rows))
    return text if bar.is_total or bar.change_usd < 0 else f"+{text}"
