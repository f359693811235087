"""An evaluation of forecasts as pictures: errors by lead time, coverage, and what a warning of a spike is worth."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from carbonshift.backtest.forecasts.models import BASELINES

__all__ = ["plot", "reliability_plot"]

Tape = Mapping[str, Any]
Panel = Callable[[Axes, Tape, Mapping[str, str]], None]

PANEL_INCHES = (4.8, 3.8)
LEGEND_COLUMNS = 5
FEWEST_CASES = 20
"""Of a bin of probability: in fewer the share that came is chance."""
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "text.parse_math": False,
    "svg.hashsalt": "carbonshift",
}
BASELINE_COLOURS = dict(zip(BASELINES, ("#888888", "#444444"), strict=True))
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#a05d2c")
"""Of Okabe and Ito, which the colour-blind tell apart, and two more."""


def plot(document: Mapping[str, Any], file_format: str) -> bytes:
    """The picture of a document as `carbonshift forecast evaluate --json` writes it; the same for the same document.

    Args:
        document: with at least one tape.
        file_format: svg or png.
    """
    return _drawn(document["tapes"], PANELS, file_format)


def reliability_plot(tapes: Sequence[Tape]) -> bytes:
    """How far the probabilities of a spike can be believed, and how often each was said; SVG, the same for the same.

    Args:
        tapes: sections of such documents, at least one.
    """
    return _drawn(tapes, RELIABILITY_PANELS, "svg")


def _drawn(tapes: Sequence[Tape], panels: Sequence[Sequence[Panel]], file_format: str) -> bytes:
    rows, columns = len(panels), len(panels[0])
    size = (PANEL_INCHES[0] * columns, (PANEL_INCHES[1] * rows + 0.8) * len(tapes))
    with style.context("default"), mpl.rc_context(STYLE):
        whole = Figure(figsize=size, layout="constrained")
        parts = whole.subfigures(len(tapes), squeeze=False)[:, 0]
        names = list(dict.fromkeys(name for tape in tapes for name in tape["models"]))
        rest = [name for name in names if name not in BASELINES]
        colours = BASELINE_COLOURS | {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(rest)}
        for part, tape in zip(parts, tapes, strict=True):
            part.suptitle(f"{tape['tape']}, {tape['origins']} origins", fontweight="bold")
            grid = part.subplots(rows, columns, squeeze=False)
            for axes, panel in zip(grid.flat, (each for row in panels for each in row), strict=True):
                panel(axes, tape, colours)
            handles, labels = part.axes[0].get_legend_handles_labels()
            part.legend(handles, labels, loc="outside lower center", ncols=LEGEND_COLUMNS)
        out = io.BytesIO()
        whole.savefig(out, format=file_format, dpi=120, metadata={"Date": None} if file_format == "svg" else None)
    return out.getvalue()


def _error_of(signal: str, unit: str) -> Panel:
    def panel(axes: Axes, tape: Tape, colours: Mapping[str, str]) -> None:
        hours = [(step + 1) * tape["step_seconds"] / 3_600 for step in range(tape["steps"])]
        for name, model in tape["models"].items():
            axes.plot(hours, _known(model[signal]["mae_by_step"]), **_line(name, colours))
        axes.set(title=f"MAE of {signal}", xlabel="hours ahead", ylabel=unit)
        axes.set_ylim(bottom=0)

    return panel


def _reliability(axes: Axes, tape: Tape, colours: Mapping[str, str]) -> None:
    axes.plot((0, 1), (0, 1), color="#bbbbbb", linewidth=1)
    for name, model in tape["models"].items():
        bins = model["spikes"]["reliability"]
        occurred = _known([b["occurred"] if b["count"] >= FEWEST_CASES else None for b in bins])
        axes.plot([b["said"] for b in bins], occurred, **_line(name, colours))
    axes.set(title="Spikes: said and seen", xlabel="probability said", ylabel="share in which one came")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def _cases(axes: Axes, tape: Tape, colours: Mapping[str, str]) -> None:
    axes.axhline(FEWEST_CASES, color="#bbbbbb", linewidth=1)
    for name, model in tape["models"].items():
        bins = model["spikes"]["reliability"]
        axes.plot([b["said"] for b in bins], [b["count"] for b in bins], **_line(name, colours))
    axes.set(title="Spikes: how often it was said", xlabel="probability said", xlim=(-0.02, 1.02))
    axes.set(yscale="log", ylabel=f"cases (fewer than {FEWEST_CASES}: left out)")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _coverage_of(signal: str) -> Panel:
    def panel(axes: Axes, tape: Tape, colours: Mapping[str, str]) -> None:
        for name, model in tape["models"].items():
            shares = _known(model[signal]["coverage_by_hour"])
            axes.plot(range(1, len(shares) + 1), shares, **_line(name, colours))
        axes.axhline(0.8, color="#bbbbbb", linewidth=1)
        axes.set(title=f"Share of {signal} from p10 to p90", xlabel="hour ahead", ylabel="0.8 is right")
        axes.set_ylim(bottom=min(0.5, axes.get_ylim()[0]), top=1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return panel


def _line(name: str, colours: Mapping[str, str]) -> dict[str, Any]:
    dashed = "--" if name in BASELINES else "-"
    return {"label": name, "color": colours[name], "linestyle": dashed, "marker": "o", "markersize": 3}


def _known(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


PANELS = (
    (_error_of("price", "$/MWh"), _coverage_of("price"), _reliability),
    (_error_of("carbon", "g/kWh"), _coverage_of("carbon"), _cases),
)
RELIABILITY_PANELS = ((_reliability, _cases),)
