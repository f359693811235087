"""What evaluations came to, as a page of Markdown, and a picture for it.

`python -m carbonshift.backtest.forecasts.page RESULT.json ... --plot docs/forecast-reliability.svg > docs/forecast.md`
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carbonshift.backtest.forecasts.models import BASELINES
from carbonshift.backtest.forecasts.ranking import ranked
from carbonshift.backtest.markdown_table import markdown_table
from carbonshift.backtest.results import read_results
from carbonshift.common.errors import InputError
from carbonshift.common.process import fail

__all__ = ["forecast_page"]

Tape = Mapping[str, Any]

SIGNALS = {"price": "$/MWh", "carbon": "g/kWh"}
LEAST_P = 1e-3
WRITTEN = ("--json", "--plot")
"""Options that name a file."""
VALUED = ("--models", "--horizon", "--every", "--slow-every", "--from", "--to", "--jobs")
"""Those of the others that are followed by a value."""
MEANINGS = """\
- Every forecast is made from what the service would have known then: a history (56 days unless set) of ticks as
  ingest tells them, doubtful values left out, corrections only once they were told. What came is what the tape says;
  what it lacks is left out.
- The two baselines are `persistence`, which holds the last value, and `seasonal-naive`, which repeats the value of 24
  hours before. Their quantiles are conformal: ranks of the errors that they made from at most 1,200 origins, evenly
  thinned out, of the last 28 days.
- `blend` is the service's own step on what its models said, those of `CARBONSHIFT_FORECASTERS` that are evaluated and
  not slow. It differs from the live service in this: its evidence begins with the first origin and comes from each
  origin of the evaluation, not from every 15 minutes; the horizon is the one evaluated, not 24 hours; and what speaks
  besides those models, as a language model does, is heard with `--propose` alone.
- rMAE is the mean absolute error of p50 over that of seasonal-naive on the same steps: below 1 is better.
- Pinball is the quantile loss, the mean over p10, p50 and p90; its ratio is to the better of the two baselines.
- Coverage is the share of values from p10 to p90: 80 % is right, less is overconfident, more is vague.
- Cut is how much less the MAE is than that of persistence, at the step that ends so long after the origin.
- p is that of a Diebold-Mariano test by pinball loss, over the origins in their order, with the long-run variance of
  Newey and West over at least as many lags as horizons overlap, and the correction of Harvey, Leybourne and Newbold
  (1997): once against seasonal-naive, once against the best of all other models, which is chosen with hindsight.
  Fewer than 30 origins tell none: "-".
- A spike is a price above the 95 % quantile of the last 28 days. PR is the average precision of the probability said
  at the step that ends one hour, or four, after the origin; its ratio is to the better baseline's. Brier is the mean
  squared error of that probability over all steps.
- Slow models see fewer origins. Each is set against the baselines from its own origins; the column says how many.
- Seconds are of one forecast of both signals, on the machine that made the results and under its load.
"""


def forecast_page(documents: Sequence[Mapping[str, Any]], picture: str | None = None) -> str:
    """The page.

    Args:
        documents: what `carbonshift forecast evaluate --json` wrote; at least one, each with a tape.
        picture: name of the one of their reliability, in the folder of the page.
    """
    parts = [_head(documents, picture), *(_tape(tape) for tape in _tapes(documents))]
    return "\n".join(line for part in parts for line in part) + "\n"


def _tapes(documents: Sequence[Mapping[str, Any]]) -> list[Tape]:
    return [tape for document in documents for tape in document["tapes"]]


def _head(documents: Sequence[Mapping[str, Any]], picture: str | None) -> Iterator[str]:
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
        yield shlex.join(_without_folders(shlex.split(document["command"])))
    drawn = f" --plot docs/{picture}" if picture else ""
    yield f"python -m carbonshift.backtest.forecasts.page RESULT.json ...{drawn} > docs/forecast.md"
    yield "```"
    yield ""
    yield (
        "`de_2018_15min` and `fr_2018_hourly` come along with CarbonShift. Recordings named by a file do not: nobody"
        " plainly allows it. `--plot` draws the errors by lead time, the coverage and the reliability of the warnings."
    )
    if picture:
        yield ""
        yield "## Reliability of the warnings"
        yield ""
        yield "A probability of a spike that is right lies on the diagonal; bins of fewer than 20 cases are left out."
        yield ""
        yield f"![Said and seen share of price spikes, by model]({picture})"


def _without_folders(words: Sequence[str]) -> Iterator[str]:
    """The words of a command, its tapes and the files that it wrote by their names alone."""
    before = ""
    for word in words:
        option, equals, value = word.partition("=")
        if word.startswith("--"):
            yield f"{option}={Path(value).name}" if equals and option in WRITTEN else word
        else:
            yield word if before in VALUED else Path(word).name
        before = word


def _tape(tape: Tape) -> Iterator[str]:
    models = ranked(tape["models"])
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
        heard = "the models heard them" if tape["day_ahead_known"] else "`--day-ahead` makes the models hear them"
        yield f"{share} of the prices were published as the forecasts began; {heard}."
    for signal in SIGNALS:
        yield from _signal(models, signal)
    yield from _spikes(models)


def _signal(models: Mapping[str, Tape], signal: str) -> Iterator[str]:
    cuts = list(next(iter(models.values()))[signal]["cut_against_persistence"])
    yield ""
    yield from markdown_table(
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
    yield from markdown_table(
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


def main() -> None:
    """Print the page of the results that are named, and draw its picture."""
    parser = argparse.ArgumentParser(prog="python -m carbonshift.backtest.forecasts.page", description=__doc__)
    parser.add_argument("results", metavar="RESULT.json", nargs="*", type=Path)
    parser.add_argument("--plot", metavar="PICTURE.svg", type=Path, help="beside the page; without it there is none")
    asked = parser.parse_intermixed_args()
    try:
        documents = read_results(
            asked.results, "carbonshift forecast evaluate", "evaluation of forecasts", _is_evaluation
        )
        if asked.plot:
            _draw(asked.plot, documents, asked.results)
        sys.stdout.write(forecast_page(documents, asked.plot.name if asked.plot else None))
    except InputError as error:
        fail(error)


def _draw(path: Path, documents: Sequence[Mapping[str, Any]], results: Sequence[Path]) -> None:
    from carbonshift.backtest.forecasts.plot import reliability_plot  # noqa: PLC0415  # matplotlib takes seconds

    if path.suffix != ".svg" or path.resolve() in {result.resolve() for result in results}:
        raise InputError(f"--plot {path} is no picture by its name", "a picture ends in .svg")
    drawn = reliability_plot(_tapes(documents))
    try:
        path.write_bytes(drawn)
    except OSError as error:
        raise InputError(f"--plot {path}: {error.strerror or error}", "name a file in a folder that exists") from error


def _is_evaluation(document: Mapping[str, Any]) -> bool:
    tapes: Sequence[Tape] = document.get("tapes") or ()
    return bool(tapes) and "models" in tapes[0]


if __name__ == "__main__":
    main()
