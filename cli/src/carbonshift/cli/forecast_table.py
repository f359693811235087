"""An evaluation of forecasts for a terminal: three tables a tape, and the lines that say what they mean."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from carbonshift.backtest.forecasts.models import BASELINES
from carbonshift.backtest.forecasts.ranking import ranked
from carbonshift.cli.narrow_table import narrow_table

__all__ = ["tape_tables"]

UNITS = {"price": "$/MWh", "carbon": "g/kWh"}
LONG = 100.0
"""From here on one decimal is enough."""
LEAST_P = 1e-3

Row = Mapping[str, Any]


def tape_tables(tape: Row) -> RenderableType:
    """Price, carbon, and spikes beside the time it took; models ordered by their price loss against the baselines."""
    models = ranked(tape["models"])
    hours = tape["horizon_seconds"] / 3_600
    known = "published prices heard" if tape["day_ahead_known"] else "from history alone"
    lines = [
        f"{tape['origins']} origins, one every {tape['every']} x {tape['step_seconds']} s, {hours:g} h ahead, {known};",
        f"{tape['first_origin']} to {tape['last_origin']}; all beside the baselines",
        "from the same origins. rMAE: MAE / that of seasonal-naive. pinball: loss / that",
        "of the better baseline. in 80%: share from p10 to p90. cut: MAE less than that",
        "of persistence so long ahead. p: Diebold-Mariano against seasonal-naive, by",
        "pinball loss. PR: average precision of spike warnings; ratio: to the better",
        "baseline's.",
    ]
    if tape["published_share"]:
        heard = "the models heard them." if tape["day_ahead_known"] else "--day-ahead makes the models hear them."
        lines.append(f"{tape['published_share']:.1%} of the prices were published as the forecasts began;")
        lines.append(heard)
    return Group(
        *(_signal(tape, models, signal) for signal in UNITS),
        _spikes(models),
        *(Text(line, style="dim") for line in lines),
        Text(),
    )


def _signal(tape: Row, models: Mapping[str, Row], signal: str) -> Table:
    cuts = list(next(iter(models.values()))[signal]["cut_against_persistence"])
    columns = ("n", "MAE", "rMAE", "pinball", "in 80%", *(f"cut {int(c) // 60}h" for c in cuts), "p")
    table = narrow_table(f"{tape['tape']}: {signal}, {UNITS[signal]}", columns)
    for name, model in models.items():
        own = model[signal]
        test = own["diebold_mariano"].get("seasonal-naive", {}).get("pinball", {})
        _add(
            table,
            name,
            str(model["origins"]),
            _number(own["mae"], _sized),
            _number(own["rmae"], "{:.3f}".format),
            _number(own["pinball_ratio"], "{:.3f}".format),
            _number(own["coverage"], "{:.0%}".format),
            *(_number(own["cut_against_persistence"][cut], "{:+.0%}".format) for cut in cuts),
            _number(test.get("p_value"), _p_value),
        )
    return table


def _spikes(models: Mapping[str, Row]) -> Table:
    leads = list(next(iter(models.values()))["spikes"]["by_lead"])
    of_leads = [column for lead in leads for column in (f"PR {int(lead) // 60}h", "ratio")]
    table = narrow_table(
        "price spikes (above the 95 % quantile of 28 days), time", (*of_leads, "Brier", "s", "p99 s", "degr.")
    )
    for name, model in models.items():
        spikes, seconds = model["spikes"], model["seconds"]
        by_lead = [spikes["by_lead"][lead] for lead in leads]
        _add(
            table,
            name,
            *(_number(lead[key], "{:.2f}".format) for lead in by_lead for key in ("average_precision", "ratio")),
            _number(spikes["brier"], "{:.4f}".format),
            _number(seconds["median"], "{:.3f}".format),
            _number(seconds["p99"], "{:.3f}".format),
            _number(model["degraded_share"], "{:.1%}".format),
        )
    return table


def _add(table: Table, name: str, *cells: str) -> None:
    table.add_row(name[:19], *cells, style="dim" if name in BASELINES else "")


def _number(value: float | None, shown: Callable[[float], str]) -> str:
    return "-" if value is None else shown(value)


def _sized(value: float) -> str:
    return f"{value:.1f}" if value >= LONG else f"{value:.2f}"


def _p_value(value: float) -> str:
    return "<.001" if value < LEAST_P else f"{value:.3f}".removeprefix("0")
