"""What trials of narratives came to, as a page of Markdown.

`python -m carbonshift.backtest.narratives.page RESULT.json ... > docs/narratives.md`
"""

import argparse
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from carbonshift.backtest.markdown_table import markdown_table
from carbonshift.backtest.results import read_results
from carbonshift.common.errors import InputError
from carbonshift.common.process import fail
from carbonshift.explain.narrative import TEMPLATE

__all__ = ["narratives_page"]

Document = Mapping[str, Any]
COUNTED = ("transitions", "at_first", "at_second", "by_template", "retries", "calls", "usd", "false", "strange_numbers")
OF_A_KIND = ("tried", "refused", "undone", "published")
STAND_IN = "stand-in"
VALUED = ("--count", "--seed", "--corrupt")
"""Options that are followed by a value which names no file."""
MEANINGS = """\
- Each transition is a real one: the tape is heard, decided and forecast by the services' own code. Only the fleet that
  follows it is modelled: eight reference boards. None is of a tape's first two weeks, where nothing has a past.
- The stand-in plays Claude's API on loopback: texts come through the SDK, the journal, the budget and the retry as they
  are. It knows the facts, writes in one of seven voices, and falsifies the share of its answers that the row says, on
  the second try as on the first. It says nothing of how often Claude errs: it measures what comes through when a model
  does.
- False are published texts in which what the stand-in falsified still stands. Undone is a lie that plain characters
  take back. Strange numbers are those in published texts that no fact has, found by code that shares nothing with the
  verification.
- The lies were made beside the verification, and what got through at first was closed: 0 false says that nothing of
  these kinds comes through any more, not that no other kind could.
- Where both tries have something wrong in them, and where an answer is none, the template tells.
- Cost is by the default prices, a token for every four bytes.
- Expected times: what the fact sheet says of the next change, beside when the state did change on the tape. In span:
  from the earliest to the latest of p10, p50 and p90, of those that have p10 and p90 within the horizon. p10 and p90
  are the times at which the state would change if price and carbon followed these quantiles: they bound what may
  happen, and are not quantiles of the time. Where prices are published a day ahead, as on the two tapes that come along
  with CarbonShift, much of what comes is known.
"""


def narratives_page(documents: Sequence[Document]) -> str:
    """The page.

    Args:
        documents: what `carbonshift explain evaluate --json` wrote; at least one.
    """
    parts = (
        _head(documents),
        _texts(documents),
        _kinds(documents),
        _times(documents),
        _narratives(documents[0]["narratives"]),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(documents: Sequence[Document]) -> Iterator[str]:
    tapes = [tape for document in documents for tape in document["tapes"]]
    total = sum(tape["transitions"] for tape in tapes)
    yield "<!-- written by carbonshift.backtest.narratives.page: change the code or the results, not this page -->"
    yield "# How often a lying model gets through"
    yield ""
    names = ", ".join(tape["tape"] for tape in tapes)
    yield f"{total} transitions of {len(tapes)} tapes ({names}), each told once a row."
    yield ""
    yield "## What the figures mean"
    yield ""
    yield MEANINGS
    yield "## Reproduce it"
    yield ""
    yield "```sh"
    for document in documents:
        yield shlex.join(_without_folders(shlex.split(document["command"])))
    yield "python -m carbonshift.backtest.narratives.page RESULT.json ... > docs/narratives.md"
    yield "```"
    yield ""
    yield "`de_2018_15min` and `fr_2018_hourly` come along with CarbonShift. Recordings named by a file do not."
    yield ""


def _without_folders(words: Sequence[str]) -> Iterator[str]:
    before = ""
    for word in words:
        option, equals, value = word.partition("=")
        if word.startswith("--"):
            yield f"{option}={Path(value).name}" if equals and option == "--json" else word
        else:
            yield word if before in VALUED else Path(word).name
        before = word


def _texts(documents: Sequence[Document]) -> Iterator[str]:
    yield "## What was published"
    yield ""
    yield from markdown_table(
        ("told by", "transitions", "at first try", "at second", "by template", "retries", "calls", "USD", "false",
         "strange numbers"),
        (
            (name, *(_shown(row[counted]) for counted in COUNTED))
            for name, row in _summed(documents, "rows", "told_by", COUNTED).items()
        ),
    )  # fmt: skip
    yield ""


def _kinds(documents: Sequence[Document]) -> Iterator[str]:
    listed = [
        {"kinds": [{"kind": kind, **counts} for kind, counts in document["kinds"].items()]} for document in documents
    ]
    kinds = _summed(listed, "kinds", "kind", OF_A_KIND)
    if not kinds:
        return
    yield f"## {len(kinds)} kinds of lies"
    yield ""
    rows = [(kind, *(str(counts[one]) for one in OF_A_KIND)) for kind, counts in kinds.items()]
    total = ("**all**", *(str(sum(counts[one] or 0 for counts in kinds.values())) for one in OF_A_KIND))
    yield from markdown_table(("kind", *OF_A_KIND), (*rows, total))
    yield ""


def _summed(
    documents: Iterable[Document], part: str, name: str, counted: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """The rows of one name together; what one of them does not know, the sum does not."""
    sums: dict[str, dict[str, Any]] = {}
    for document in documents:
        for row in document[part]:
            known = sums.get(row[name])
            sums[row[name]] = {
                one: row[one] if known is None else None if None in (known[one], row[one]) else known[one] + row[one]
                for one in counted
            }
    return sums


def _times(documents: Sequence[Document]) -> Iterator[str]:
    tapes = [(tape["tape"], tape["expected_times"]) for document in documents for tape in document["tapes"]]
    together = {
        "errors_hours": [error for _, times in tapes for error in times["errors_hours"]],
        **{
            name: sum(times[name] for _, times in tapes)
            for name in (
                "cases",
                "expected",
                "within_both",
                "expected_both",
                "same_state",
                "none_expected",
                "none_came",
            )
        },
    }
    yield "## Expected times"
    yield ""
    yield from markdown_table(
        ("tape", "transitions", "change expected", "in span", "the state expected", "p50 off, median h",
         "none expected", "none came"),
        (
            (
                name,
                str(times["cases"]),
                str(times["expected"]),
                _share(times["within_both"], times["expected_both"]),
                _share(times["same_state"], times["expected"]),
                f"{median(times['errors_hours']):.2f}" if times["errors_hours"] else "-",
                str(times["none_expected"]),
                str(times["none_came"]),
            )
            for name, times in (*tapes, ("**all**", together))
        ),
    )  # fmt: skip
    yield ""


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "-"


def _narratives(narratives: Sequence[Document]) -> Iterator[str]:
    yield "## Narratives beside their facts"
    yield ""
    yield "Chosen at random. What the stand-in wrote is marked: it is not by Claude."
    for number, one in enumerate(narratives, 1):
        by = {TEMPLATE: "by template", STAND_IN: "written by the trial's stand-in, not by Claude"}
        yield ""
        yield f"### {number}. {one['tape']}, {by.get(one['told_by'], 'written by ' + one['told_by'])}"
        yield ""
        yield f"> {one['text']}"
        yield ""
        yield from markdown_table(("fact", ""), ((name, _shown(value)) for name, value in one["facts"].items()))


def _shown(value: float | str | None) -> str:
    return "-" if value is None else f"{value:,.2f}".removesuffix(".00") if isinstance(value, float) else str(value)


def main() -> None:
    """Print the page of the results that are named."""
    parser = argparse.ArgumentParser(prog="python -m carbonshift.backtest.narratives.page", description=__doc__)
    parser.add_argument("results", metavar="RESULT.json", nargs="*", type=Path)
    try:
        sys.stdout.write(
            narratives_page(
                read_results(
                    parser.parse_args().results, "carbonshift explain evaluate", "trial of narratives", _is_trial
                )
            )
        )
    except InputError as error:
        fail(error)


def _is_trial(document: Document) -> bool:
    return {"tapes", "rows", "kinds", "narratives"} <= document.keys()


if __name__ == "__main__":
    main()
