"""What evaluations came to, as a page of Markdown: `python -m carbonshift.backtest.forecasts.page RESULT.json ...`."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carbonshift.backtest.forecasts.models import BASELINES
from carbonshift.common.errors import InputError
from carbonshift.common.process import fail

__all__ = ["forecast_page"]

Tape = Mapping[str, Any]

SIGNALS = {"price": "$/MWh", "carbon": "g/kWh"}
LEAST_P = 1e-3
MEANINGS = """\
- Every forecast is made from what the service would have known then: a history (56 days unless set) of ticks as
  ingest tells them, doubtful values left out, corrections only once they were told. What came is what the tape says;
  what it lacks is left out.
- The two baselines are `persistence`, which holds the last value, and `seasonal-naive`, which repeats the value of 24
  hours before. Their quantiles are conformal: ranks of the errors that they made over the last 28 days.
- rMAE is the mean absolute error of p50 over that of seasonal-naive on the same steps: below 1 is better.
- Pinball is the quantile loss, the mean over p10, p50 and p90; its ratio is to the better of the two baselines.
- Coverage is the share of values from p10 to p90: 80 % is right, less is overconfident, more is vague.
- Cut is how much less the MAE is than that of persistence, at the step that ends so long after the origin.
- p is that of a Diebold-Mariano test by pinball loss, over the origins in their order, with the long-run variance of
  Newey and West over at least as many lags as horizons overlap, and the correction of Harvey, Leybourne and Newbold
  (1997): once against seasonal-naive, once against the best of all other models, which is chosen with hindsight.
- A spike is a price above the 95 % quantile of the last 28 days. PR is the average precision of the probability said
  at the step that ends one hour, or four, after the origin; its ratio is to the better baseline's. Brier is the mean
  squared error of that probability over all steps.
- Slow models see fewer origins. Each is set against the baselines from its own origins; the column says how many.
- Seconds are of one forecast of both signals, on the machine that made the results and under its load.
"""


def forecast_page(documents: Sequence[Mapping[str, Any]]) -> str:
    """The page.

    Args:
        documents: what `carbonshift forecast evaluate --json` wrote; at least one, each with a tape.
    """
    tapes = [tape for document in documents for tape in document["tapes"]]
    parts = [_head(documents), *(_tape(tape) for tape in tapes)]
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<!-- written by carbonshift.backtest.forecasts.page: change the code or the results, not this page -->"
    yield "# How good the forecasts are"
    yield ""
    yield "Every forecaster from the same origins of recorded grids, beside two baselines that learn nothing."
    yield ""
    yield "## What the figures mean"
    yield ""
    yield MEANINGS
    yield "## Reproduce it"
    yield ""
    yield "```sh"
    for document in documents:  # without the folders of whoever ran it
        yield shlex.join(Path(word).name if "/" in word else word for word in shlex.split(document["command"]))
    yield "python -m carbonshift.backtest.forecasts.page RESULT.json ... > docs/forecast.md"
    yield "```"
    yield ""
    yield (
        "`de_2018_15min` and `fr_2018_hourly` come along with CarbonShift. Recordings named by a file do not: nobody"
        " plainly allows it. `--plot` draws the errors by lead time, the coverage and the reliability of the warnings."
    )


def _tape(tape: Tape) -> Iterator[str]:
    models = dict(sorted(tape["models"].items(), key=lambda item: item[1]["price"]["pinball_ratio"] or 0.0))
    market = "real-time" if tape["price_market"] == "real-time" else "day-ahead"
    known = "published prices heard" if tape["day_ahead_known"] else "from history alone"
    yield ""
    yield f"## {tape['tape']}"
    yield ""
    yield (
        f"{tape['region']}, {market} price, {tape['carbon_basis']} carbon, steps of {tape['step_seconds'] // 60} min,"
        f" {tape['horizon_seconds'] / 3_600:g} h ahead, {known}: {tape['origins']} origins from"
        f" {tape['first_origin'][:10]} to {tape['last_origin'][:10]}."
    )
    if tape["published_share"]:
        share = _percent(tape["published_share"])
        yield f"Known besides: {share} of the prices were published as the forecast began; looked up, they err by 0."
    for signal in SIGNALS:
        yield from _signal(models, signal)
    yield from _spikes(models)


def _signal(models: Mapping[str, Tape], signal: str) -> Iterator[str]:
    cuts = list(next(iter(models.values()))[signal]["cut_against_persistence"])
    yield ""
    yield from _table(
        (
            f"{signal}, {SIGNALS[signal]}", "origins", "MAE", "rMAE", "pinball", "ratio", "coverage",
            *(f"cut {int(cut) // 60} h" for cut in cuts), "p, seasonal-naive", "p, best other",
        ),
        (_signal_row(name, model, signal) for name, model in models.items()),
    )  # fmt: skip


def _signal_row(name: str, model: Tape, signal: str) -> Sequence[str]:
    own = model[signal]
    tests = own["diebold_mariano"]
    best = tests["best_other"]
    return (
        name if name in BASELINES else f"**{name}**",
        str(model["origins"]),
        _number(own["mae"], 2),
        _number(own["rmae"], 3),
        _number(own["pinball"], 2),
        _number(own["pinball_ratio"], 3),
        _percent(own["coverage"]),
        *(_percent(cut) for cut in own["cut_against_persistence"].values()),
        _p_value(tests.get("seasonal-naive")),
        f"{_p_value(best)} ({best['rival']})",
    )


def _p_value(test: Tape | None) -> str:
    """With the sign of who is better: the own model or the rival."""
    if test is None or test["pinball"]["p_value"] is None:
        return "-"
    p_value, better = test["pinball"]["p_value"], test["pinball"]["difference"] < 0
    shown = f"< {LEAST_P:g}" if p_value < LEAST_P else f"{p_value:.3f}"
    return f"{shown} {'better' if better else 'worse'}"


def _spikes(models: Mapping[str, Tape]) -> Iterator[str]:
    leads = list(next(iter(models.values()))["spikes"]["by_lead"])
    of_leads = [head for lead in leads for head in (f"PR {int(lead) // 60} h", "ratio")]
    yield ""
    yield from _table(
        ("price spikes, time", *of_leads, "Brier", "median s", "p99 s", "degraded"),
        (
            (
                name if name in BASELINES else f"**{name}**",
                *(
                    _number(model["spikes"]["by_lead"][lead][key], 2)
                    for lead in leads
                    for key in ("average_precision", "ratio")
                ),
                _number(model["spikes"]["brier"], 4),
                _number(model["seconds"]["median"], 3),
                _number(model["seconds"]["p99"], 3),
                _percent(model["degraded_share"]),
            )
            for name, model in models.items()
        ),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|---" + "|---:" * (len(columns) - 1) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> None:
    """Print the page of the results that are named."""
    try:
        sys.stdout.write(forecast_page(_documents([Path(argument) for argument in sys.argv[1:]])))
    except InputError as error:
        fail(error)


def _documents(paths: Sequence[Path]) -> list[dict[str, Any]]:
    remedy = "give what `carbonshift forecast evaluate --json` wrote: RESULT.json ..."
    if not paths:
        raise InputError("no results", remedy)
    documents = []
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {error}", remedy) from error
        tapes = document.get("tapes") if isinstance(document, dict) else None
        if not tapes or "models" not in tapes[0]:
            raise InputError(f"{path} is no evaluation of forecasts", remedy)
        documents.append(document)
    return documents


if __name__ == "__main__":
    main()
