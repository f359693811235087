"""Whether anything false is published when so many answers are: each transition told by the writer as it is. Shell."""

import asyncio
import json
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from carbonshift.backtest.narratives.cases import Case
from carbonshift.backtest.narratives.liar import KINDS, Answer, Liar
from carbonshift.backtest.narratives.loopback import messages_api
from carbonshift.backtest.narratives.strange_numbers import strange_numbers
from carbonshift.common.errors import InputError
from carbonshift.common.events import Narrative
from carbonshift.explain.facts import FactSheet
from carbonshift.explain.languages import English
from carbonshift.explain.narrative import TEMPLATE, narrative_of
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.verification import plain
from carbonshift.explain.writer import Writer

__all__ = ["SHOWN", "asked", "can_ask", "told_falsely"]

SHOWN = 10
"""Narratives that are kept of the template, and as many of who writes beside it."""
MOST_CALLS_A_CASE = 2
Progress = Callable[[str, float], None]


@dataclass(slots=True, kw_only=True)
class Tally:
    """Of the lies, by kind."""

    tried: Counter[str] = field(default_factory=Counter)
    undone: Counter[str] = field(default_factory=Counter)
    """Texts that are true once written in plain characters."""
    published: list[dict[str, str]] = field(default_factory=list)

    def take(self, answers: Sequence[Answer], text: str | None) -> None:
        """What was answered for one transition, and what of it was published."""
        for at, answer in enumerate(answers):
            if answer.lie is None:
                continue
            self.tried[answer.lie.kind] += 1
            if text is None or at + 1 < len(answers):
                continue
            if text == plain(answer.truth):
                self.undone[answer.lie.kind] += 1
            else:
                self.published.append({"kind": answer.lie.kind, "falsified": answer.lie.falsified, "text": text})

    def kinds(self) -> dict[str, dict[str, int]]:
        """All of them, those that were never tried as well."""
        published = Counter(one["kind"] for one in self.published)
        return {
            kind: {
                "tried": self.tried[kind],
                "undone": self.undone[kind],
                "published": published[kind],
                "refused": self.tried[kind] - self.undone[kind] - published[kind],
            }
            for kind in KINDS
        }


def told_falsely(
    cases: Sequence[Case], settings: ExplainSettings, shares: Sequence[float], seed: int, progress: Progress
) -> dict[str, Any]:
    """The template alone, then a stand-in for the model that falsifies each of the `shares` of its answers."""
    narratives = [_by_template(case) for case in cases]
    rows = [_row(TEMPLATE, None, narratives)]
    shown = _shown(TEMPLATE, cases, narratives, seed)
    tally = Tally()
    for at, share in enumerate(shares):
        name = f"stand-in, {100 * share:g} % false"
        narratives, writer, lies = _with_liar(
            cases, settings, Liar(share, seed), partial(_part_of, progress, name, at, len(shares))
        )
        rows.append(_row(name, writer, narratives) | {"false": len(lies.published)})
        tally.tried += lies.tried
        tally.undone += lies.undone
        tally.published += lies.published
        if share == 0:
            shown += _shown("stand-in", cases, narratives, seed + 1)
    return {"rows": rows, "kinds": tally.kinds(), "published_lies": tally.published, "narratives": shown}


def asked(cases: Sequence[Case], settings: ExplainSettings, seed: int, progress: Progress) -> dict[str, Any]:
    """The template alone, then the model that the settings name: for money, within its budget.

    Raises: InputError where there is none.
    """
    writer = _model(settings)
    by_template = [_by_template(case) for case in cases]
    narratives = asyncio.run(_written(cases, writer, lambda done: progress(writer.name, done), lambda _: None))
    return {
        "rows": [_row(TEMPLATE, None, by_template), _row(writer.name, writer, narratives)],
        "kinds": {},
        "published_lies": [],
        "narratives": _shown(TEMPLATE, cases, by_template, seed) + _shown(writer.name, cases, narratives, seed + 1),
    }


def _part_of(progress: Progress, name: str, at: int, parts: int, done: float) -> None:
    progress(name, (at + done) / parts)


def can_ask(settings: ExplainSettings) -> None:
    """Look before the work whether there is somebody. Raises: InputError where there is not."""
    _model(settings)


def _model(settings: ExplainSettings) -> Writer:
    writer = Writer.of(settings)
    if writer is None:
        raise InputError("--ask: there is nobody to ask", "set ANTHROPIC_API_KEY, or CARBONSHIFT_ANTHROPIC_ANSWERS")
    return writer


def _by_template(case: Case) -> Narrative:
    return narrative_of(case.transition, case.sheet, English().narrate(case.sheet))


def _with_liar(
    cases: Sequence[Case], settings: ExplainSettings, liar: Liar, progress: Callable[[float], None]
) -> tuple[list[Narrative], Writer, Tally]:
    sheets: dict[str, FactSheet] = {_facts_key(case.sheet.facts()): case.sheet for case in cases}
    answers: list[Answer] = []
    tally = Tally()

    def answer(user: str) -> str:
        answers.append(liar.answer(sheets[_facts_key(json.loads(user)["facts"])], user))
        return answers[-1].body

    def told(text: str | None) -> None:
        tally.take(answers, text)
        answers.clear()

    with _unlogged(), tempfile.TemporaryDirectory() as folder, messages_api(answer) as url:
        writer = Writer.of(_standing_in(settings, url, Path(folder), len(cases)))
        assert writer is not None  # noqa: S101  it has a key
        return asyncio.run(_written(cases, writer, progress, told)), writer, tally


@contextmanager
def _unlogged() -> Iterator[None]:
    """Nothing needs to be done about a stand-in that lies."""
    log = logging.getLogger("carbonshift.explain")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _facts_key(facts: Mapping[str, Any]) -> str:
    """A replay is told as one without its name, so it tells no two apart."""
    return json.dumps({name: value for name, value in facts.items() if name != "replay"}, sort_keys=True)


def _standing_in(settings: ExplainSettings, url: str, folder: Path, cases: int) -> ExplainSettings:
    """The same but for who is asked, where it is put down, and a budget that has room for all."""
    calls = MOST_CALLS_A_CASE * cases
    return settings.model_copy(
        update={
            "anthropic_api_key": SecretStr("of-the-stand-in"),
            "anthropic_base_url": url,
            "anthropic_answers": None,
            "anthropic_calls_per_day": calls,
            "anthropic_usd_per_day": float(calls),
            "state_dir": folder,
        }
    )


async def _written(
    cases: Sequence[Case], writer: Writer, progress: Callable[[float], None], told: Callable[[str | None], None]
) -> list[Narrative]:
    """What is published of each, as the service would have it."""
    narratives: list[Narrative] = []
    try:
        for case in cases:
            progress(len(narratives) / len(cases))
            text = await writer.write(case.sheet)
            told(text)
            narratives.append(
                narrative_of(case.transition, case.sheet, English().narrate(case.sheet), fallback=True)
                if text is None
                else narrative_of(case.transition, case.sheet, text, model=writer.name)
            )
    finally:
        await writer.close()
    return narratives


def _row(name: str, writer: Writer | None, narratives: Sequence[Narrative]) -> dict[str, Any]:
    """What came of them; `false` is unknown where nobody knows what was falsified."""
    strange = [found for one in narratives if (found := strange_numbers(one.text, one.facts))]
    counts = writer.counts if writer else None
    return {
        "told_by": name,
        "transitions": len(narratives),
        "at_first": counts.accepted_at_first if counts else 0,
        "at_second": counts.accepted_at_second if counts else 0,
        "by_template": sum(one.model == TEMPLATE for one in narratives),
        "retries": counts.retries if counts else 0,
        "calls": counts.calls if counts else 0,
        "usd": counts.usd if counts else 0.0,
        "dropped": dict(counts.dropped) if counts else {},
        "false": None if writer else 0,
        "strange_numbers": sum(map(len, strange)),
    }


def _shown(name: str, cases: Sequence[Case], narratives: Sequence[Narrative], seed: int) -> list[dict[str, Any]]:
    """Some of them, chosen at random."""
    chosen = sorted(random.Random(seed).sample(range(len(cases)), min(SHOWN, len(cases))))  # noqa: S311  no secret
    return [
        {
            "told_by": name if narratives[at].model != TEMPLATE else TEMPLATE,
            "tape": cases[at].tape,
            "text": narratives[at].text,
            "facts": {key: value for key, value in narratives[at].facts.items() if value is not None},
        }
        for at in chosen
    ]
