"""What backtests came to, as a page of Markdown: `python -m carbonshift.backtest.savings_page RESULT.json ...`."""

import math
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from carbonshift.backtest.markdown_table import markdown_table
from carbonshift.backtest.results import read_results
from carbonshift.common.errors import InputError
from carbonshift.common.process import fail

__all__ = ["savings_page"]

Tape = Mapping[str, Any]

BILL_CLAIMED, CARBON_CLAIMED = 0.37, 0.43
"""The savings of the project's inspiration."""
NAMES = {
    "solar-window": "a fixed solar window",
    "eco-pulse": "Eco-Pulse, GREEN at full power",
    "eco-pulse-efficient": "Eco-Pulse, GREEN at the most efficient cap",
    "static-cap": "the best static cap",
    "planner": "the planner",
    "planner-told": "the planner, told what comes",
    "oracle": "perfect foresight",
}
CAUSES = ("cap_efficiency", "price_timing", "carbon_timing", "parked_draw", "slowdown")
NEEDED = ("static-cap", "eco-pulse", "eco-pulse-efficient", "solar-window", "planner", "oracle")


def savings_page(documents: Sequence[Mapping[str, Any]]) -> str:
    """The page.

    Args:
        documents: what `carbonshift backtest --policy all --json` wrote, all with the same job and price of carbon.

    Raises: InputError where they do not belong together, or lack a policy.
    """
    first = documents[0]
    for document in documents:
        if any(document[key] != first[key] for key in ("job", "curve", "usd_per_tonne", "starts", "seed")):
            raise InputError("the results are of different jobs", "give results of one job, price of carbon and seed")
        for tape in document["tapes"]:
            if _slacks(tape) != _slacks(first["tapes"][0]):
                raise InputError(f"{tape['tape']} has other deadlines", "give results of the same --slack")
            if lacking := [name for name in NEEDED if name not in tape["pooled"]]:
                raise InputError(f"{tape['tape']} lacks {', '.join(lacking)}", "run the backtest with --policy all")
    tapes = [tape for document in documents for tape in document["tapes"]]
    once = list({_grid(tape): tape for tape in reversed(tapes)}.values())[::-1]  # known prices or not: one grid
    parts = (_head(first, documents), _answer(once), _timing(tapes), _forms(once), _causes(once))
    return "\n".join(line for part in parts for line in part) + "\n"


def _slacks(tape: Tape) -> list[float]:
    return [each["slack"] for each in tape["slacks"]]


def _grid(tape: Tape) -> tuple[str, ...]:
    """What makes a recording another one."""
    return tuple(str(tape[key]) for key in ("tape", "region", "from", "to", "step_seconds", "price_market"))


def _head(first: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    job, curve = first["job"], first["curve"]
    yield "<!-- written by carbonshift.backtest.savings_page: change the code or the results, not this page -->"
    yield "# What would have been saved"
    yield ""
    yield (
        f"A training of {job['work_hours']:g} h at full power on one board, from {first['starts']} starts on each"
        f" recording, with each deadline, CO2 at ${first['usd_per_tonne']:g}/t. Every figure is modelled: recorded"
        " prices and carbon intensities, and a published curve of draw and speed."
    )
    yield ""
    yield from markdown_table(
        ("power limit W", "draw W", "speed"),
        (
            (f"{limit:g}", f"{draw:g}", f"{speed:.3f}")
            for limit, draw, speed in zip(curve["limits_w"], curve["draws_w"], curve["speeds"], strict=True)
        ),
    )
    yield ""
    yield f"{curve['name']}: {curve['source']}. Parked {curve['parked_w']:g} W."
    yield ""
    yield from (f"- {sentence}" for sentence in first["accounting"])
    yield ""
    yield "Made by"
    yield ""
    yield "```sh"
    for document in documents:  # without the folders of whoever ran it
        yield shlex.join(Path(word).name if "/" in word else word for word in shlex.split(document["command"]))
    yield "```"
    yield ""
    yield (
        "`de_2018_15min` and `fr_2018_hourly` come along with CarbonShift. Recordings named by a file do not: nobody"
        " plainly allows it. `carbonshift recordings fetch` makes such a tape of California; the others are day-ahead"
        " or real-time prices of their markets beside carbon intensities of Electricity Maps or WattTime."
    )


def _answer(tapes: Sequence[Tape]) -> Iterator[str]:
    yield ""
    yield f"## Is it {100 * BILL_CLAIMED:.0f} % cheaper with {100 * CARBON_CLAIMED:.0f} % less carbon?"
    yield ""
    names = [name for name in NAMES if name in tapes[0]["pooled"] and name not in {"planner-told", "oracle"}]
    completed = [(tape, name) for tape in tapes for name in names if _reaches(_completed(tape["pooled"][name]))]
    clocked = [(tape, name) for tape in tapes for name in names if _reaches(_clocked(tape["pooled"][name]))]
    foreseen = sum(_reaches(_completed(tape["pooled"]["oracle"])) for tape in tapes)
    yield (
        f"With the work completed and the parked draw counted: {_held(completed, len(tapes), len(names))} Perfect"
        f" foresight reaches it on {foreseen} of {len(tapes)} recordings."
    )
    yield ""
    yield (
        "By the same clock, looking only at the hours that running at once would have taken, and forgetting what is"
        f" left to do: {_held(clocked, len(tapes), len(names))}"
    )
    if clocked:
        shares = [tape["pooled"][name]["same_clock"]["work_share"] for tape, name in clocked]
        yield (
            f"Wherever it holds so, {_percent(1 - max(shares))} to {_percent(1 - min(shares))} of the work was not done"
            " by then. Who does less pays less: that is no saving."
        )
    yield ""
    yield from markdown_table(
        ("recording", "policy", "bill", "CO2", "bill, same clock", "CO2, same clock", "work done by then"),
        (
            (
                _title(tape),
                NAMES[name],
                *(_percent(share) for share in _completed(tape["pooled"][name])),
                *(_percent(share) for share in _clocked(tape["pooled"][name])),
                _percent(tape["pooled"][name]["same_clock"]["work_share"]),
            )
            for tape in tapes
            for name in names
        ),
    )
    yield ""
    yield "Savings over running at once at full power, over all deadlines; negative: it costs more."


def _timing(tapes: Sequence[Tape]) -> Iterator[str]:
    yield ""
    yield "## What the planner adds to a static cap"
    yield ""
    yield (
        "A static cap needs no signal at all, so T counts only what lies beyond the best one: (cap - planner) / (cap -"
        " perfect foresight), in dollars with carbon, with its 95 % interval."
    )
    yield ""
    yield from markdown_table(
        (
            "recording",
            "T",
            "95 %",
            "of the cap's bill",
            "of running at once",
            "not worse than the cap",
            "late",
            "told what comes: of the best saving",
        ),
        (_timing_row(tape) for tape in tapes),
    )
    gaps = [tape["oracle_gap_mean"] for tape in tapes if tape["oracle_gap_mean"] is not None]
    yield ""
    yield (
        f"Perfect foresight is certified: no schedule costs less than a bound that lies {100 * max(gaps):.4f} % below"
        " it on average, on the worst recording."
    )


def _timing_row(tape: Tape) -> tuple[str, ...]:
    planner, oracle = tape["pooled"]["planner"], tape["pooled"]["oracle"]
    told = tape["pooled"].get("planner-told")
    best = oracle["saved_share_of_run_now"]
    share = told and best and told["saved_share_of_run_now"] is not None and told["saved_share_of_run_now"] / best
    interval = planner["timing_share_interval"]
    return (
        _title(tape),
        "-" if planner["timing_share"] is None else f"**{planner['timing_share']:.2f}**",
        "-" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
        _percent(planner["saved_share_of_cap"]),
        _percent(planner["saved_share_of_run_now"]),
        _percent(planner["not_worse_than_cap_share"]),
        str(planner["late"]),
        f"{share:.3f}" if share else "-",
    )


def _forms(tapes: Sequence[Tape]) -> Iterator[str]:
    def dearer(tape: Tape, name: str) -> float:
        """Than running at once from the same starts; infinite where that cost nothing to be a share of."""
        saved = tape["pooled"][name]["saved_share_of_run_now"]
        return math.inf if saved is None else -float(saved)

    better = sum(dearer(tape, "eco-pulse-efficient") < dearer(tape, "eco-pulse") for tape in tapes)
    window = [dearer(tape, "solar-window") for tape in tapes]
    beaten = sum(dearer(tape, "eco-pulse-efficient") > dearer(tape, "static-cap") for tape in tapes)
    yield ""
    yield "## Which form of Eco-Pulse"
    yield ""
    yield (
        f"GREEN at the most efficient cap cost less than GREEN at full power on {better} of {len(tapes)} recordings;"
        " set it with `CARBONSHIFT_GREEN_POWER_LIMIT_W`, and with `CARBONSHIFT_AMBER_POWER_LIMIT_W` AMBER no higher. A"
        " fixed solar window cost"
        f" {_percent(min(window))} to {_percent(max(window))} more than running at once (negative: less)."
        f" Even the better form cost more than the best static cap on {beaten} of {len(tapes)}: a threshold that waits"
        " without a plan pays for its parked watts. A job with a deadline is better off with the planner."
    )
    yield ""
    names = ("static-cap", "solar-window", "eco-pulse", "eco-pulse-efficient", "planner")
    yield from markdown_table(
        ("recording", *(NAMES[name] for name in names)),
        ((_title(tape), *(_percent(dearer(tape, name), signed=True) for name in names)) for tape in tapes),
    )
    yield ""
    yield "Energy, carbon and GPU-hours against running at once at full power; negative: it costs less."


def _causes(tapes: Sequence[Tape]) -> Iterator[str]:
    yield ""
    yield "## Where the planner's saving comes from"
    yield ""
    yield from markdown_table(
        ("recording", *(cause.replace("_", " ") for cause in CAUSES), "total"),
        (
            (
                _title(tape),
                *(_percent(_share_of_run_now(tape["pooled"]["planner"], cause)) for cause in (*CAUSES, "total")),
            )
            for tape in tapes
        ),
    )
    yield ""
    yield "Shares of what running at once costs; the causes sum to the total."


def _share_of_run_now(row: Mapping[str, Any], cause: str) -> float | None:
    now_usd = row["total_usd"] + row["split_usd"]["total"]
    return row["split_usd"][cause] / now_usd if now_usd > 0 else None


def _completed(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return row["bill_saved_share_of_run_now"], row["carbon_saved_share_of_run_now"]


def _clocked(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return row["same_clock"]["bill_saved_share"], row["same_clock"]["carbon_saved_share"]


def _reaches(saved: tuple[float | None, float | None]) -> bool:
    bill, carbon = saved
    return bill is not None and carbon is not None and bill >= BILL_CLAIMED and carbon >= CARBON_CLAIMED


def _held(found: Sequence[tuple[Tape, str]], tapes: int, policies: int) -> str:
    if not found:
        return f"no, with none of {policies} policies on any of {tapes} recordings."
    counts = Counter(name for _, name in found)
    return f"{'; '.join(f'{NAMES[name]} on {count} of {tapes}' for name, count in counts.items())}; others on none."


def _title(tape: Tape) -> str:
    market = "real time" if tape["price_market"] == "real-time" else "day ahead"
    known = ", published prices known" if tape["day_ahead_known"] else ""
    return f"{tape['region']} {_year(tape)}, {tape['step_seconds'] // 60} min, {market}{known}"


def _year(tape: Tape) -> str:
    """That of its middle: a local year begins in another."""
    first, last = (datetime.fromisoformat(tape[key]) for key in ("from", "to"))
    return str((first + (last - first) / 2).year)


def _percent(share: float | None, *, signed: bool = False) -> str:
    if share is None or math.isinf(share):
        return "-"
    text = f"{share:+.1%}" if signed else f"{share:.1%}"
    return text.replace("%", " %")


def main() -> None:
    """Print the page of the results that are named."""
    try:
        sys.stdout.write(
            savings_page(
                read_results(
                    [Path(argument) for argument in sys.argv[1:]], "carbonshift backtest", "backtest", _is_backtest
                )
            )
        )
    except InputError as error:
        fail(error)


def _is_backtest(document: Mapping[str, Any]) -> bool:
    return bool(document.get("tapes"))


if __name__ == "__main__":
    main()
