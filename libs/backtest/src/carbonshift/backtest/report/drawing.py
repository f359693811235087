"""A figure as SVG for the page: small, in the colours of the reader's scheme, and the same bytes each time."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from carbonshift.backtest.report.wording import plain

__all__ = ["COLOURS", "FIGURE_PX", "Canvas", "canvas", "drawing", "label", "limits", "note", "svg", "thinned"]

Floats = NDArray[np.float64]

FIGURE_PX = 400.0
"""Width of a large figure: on a narrow screen it is seen about that wide."""
POINTS_PER_INCH = 72.0
FONT_PX = 11.0
MOST_STEPS = 300
LONGEST_LABEL = 22

COLOURS = {
    name: f"#c0de{number:02d}"
    for number, name in enumerate(
        ("ink", "muted", "line", "accent", "foresight", "other", "good", "bad", "price", "carbon", "paper")
    )
}
"""Stand-ins for the custom properties of the same names in the page's style."""

STYLE: dict[Any, Any] = {
    "font.size": FONT_PX,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.labelsize": FONT_PX,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-9, 9),
    "xtick.labelcolor": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["muted"],
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.7,
    "svg.fonttype": "none",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Figures within it look the same whatever the reader's own matplotlib is set to."""
    with style.context("default"), mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # the browser has the fonts
        yield


@dataclass(frozen=True, slots=True)
class Canvas:
    """A figure with one pair of axes; sizes in pixels."""

    figure: Figure
    axes: Axes
    width: float
    height: float


def canvas(width: float, height: float, *, left: float, right: float, top: float, bottom: float) -> Canvas:
    """An empty one with such margins."""
    figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), facecolor="none")
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box, facecolor="none", frameon=False)
    axes.tick_params(bottom=False, left=False, pad=4)
    axes.set_axisbelow(True)
    return Canvas(figure, axes, width, height)


def svg(figure: Figure, key: str, title: str) -> Markup:
    """The figure as an element of the page.

    Args:
        figure: drawn within `drawing`.
        key: distinguishes it from every other figure of the page.
        title: what a reader who does not see it is told.
    """
    for artist in figure.findobj():
        artist.set_clip_on(False)
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": key}):
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = out.getvalue()
    (view,) = re.findall(r'<svg [^>]*viewBox="([^"]*)"', text)
    text = re.sub(r"^.*?<svg [^>]*>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r' style="fill: none"(?= */>)', ' fill="none"', text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r" font-family: [^;\"]*;?", "", text)
    text = re.sub(r' transform="rotate\(-0[^"]*"', "", text)
    text = re.sub(r"xlink:href", "href", text)
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda match: _lean(match.group()), text)
    text = re.sub(r">\s+<", "><", text)
    while (shorter := re.sub(r"<g></g>", "", text)) != text:
        text = shorter
    for name, stand_in in COLOURS.items():
        text = text.replace(stand_in, f"var(--{name})")
    return Markup(f'<svg viewBox="{view}" role="img" aria-label="{escape(plain(title))}">{text.strip()}')  # noqa: S704


def _lean(attribute: str) -> str:
    rounded = re.sub(r"-?\d+\.\d+", lambda match: f"{float(match.group()):.1f}".removesuffix(".0"), attribute)
    return re.sub(r'\s+(?=")', "", re.sub(r"\s+", " ", rounded))


def note(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    within: tuple[str, str],
    offset: tuple[float, float],
    *,
    colour: str = "ink",
    across: str = "left",
    down: str = "baseline",
) -> None:
    """Words `offset` pixels from a point; `within` says in which coordinates x and y of the point are."""
    axes.annotate(
        text, at, offset, within, "offset points", color=COLOURS[colour], horizontalalignment=across,
        verticalalignment=down,
    )  # fmt: skip


def label(name: str) -> str:
    """A name short enough to stand beside a bar."""
    text = plain(name)
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def limits(values: list[float], *, pad: float) -> tuple[float, float]:
    """Room for all of them, and a little more."""
    low, high = min(values), max(values)
    span = max(high - low, 0.02 * max(abs(low), abs(high))) or 1.0
    middle = (low + high) / 2.0
    return min(low, middle - span / 2.0) - pad * span, max(high, middle + span / 2.0) + pad * span


def thinned(values: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Steps for a drawing: equal neighbours made one, and of many the lowest and the highest of each stretch.

    Args:
        values: shape (n,), n >= 1.
        edges: shape (n + 1,): value i holds from edge i to edge i + 1.
    """
    new = np.concatenate(([True], values[1:] != values[:-1]))
    values, edges = values[new], np.append(edges[:-1][new], edges[-1])
    if values.size <= MOST_STEPS:
        return values, edges
    kept: list[int] = []
    for stretch in np.array_split(np.arange(values.size), MOST_STEPS // 2):
        kept += sorted({int(stretch[values[stretch].argmin()]), int(stretch[values[stretch].argmax()])})
    starts = edges[:-1][kept]
    starts[0] = edges[0]
    return values[kept], np.append(starts, edges[-1])
