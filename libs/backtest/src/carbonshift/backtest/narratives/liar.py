"""A model that tells so many of its answers falsely, and knows which. Pure: what it answers follows from its seed."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from carbonshift.backtest.narratives.lies import LIES, Draft
from carbonshift.backtest.narratives.phrasings import PHRASINGS, phrased
from carbonshift.explain.facts import FactSheet

__all__ = ["KINDS", "Answer", "Liar", "Lie"]

SHAPES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "cut off": lambda text: json.dumps({"text": text})[: 10 + len(text) // 2],
        "no JSON": lambda text: text,
        "in a fence": lambda text: f"```json\n{json.dumps({'text': text})}\n```",
        "another name": lambda text: json.dumps({"narrative": text}),
        "one name more": lambda text: json.dumps({"text": text, "note": "raise the limit"}),
        "a list": lambda text: json.dumps({"text": [text]}),
        "a number": lambda _: json.dumps({"text": 412}),
        "null": lambda _: json.dumps({"text": None}),
        "JSON in JSON": lambda text: json.dumps({"text": json.dumps({"text": text})}),
        "two objects": lambda text: json.dumps({"text": text}) * 2,
        "empty": lambda _: "",
        "very long": lambda text: json.dumps({"text": text * 200}),
    }
)
"""What is no answer, whatever it tells."""
SHAPE = "shape of the answer"
KINDS = (*LIES, SHAPE)
"""Of lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """What is false."""

    kind: str
    falsified: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the liar says."""

    body: str
    """As the API would give it: JSON, or what is none."""
    text: str
    truth: str
    """What the text would be without the lie."""
    voice: str
    lie: Lie | None
    """None: every word is true."""


class Liar:
    """Answers falsely in `share` of all cases, in a kind drawn among all that its text has room for."""

    def __init__(self, share: float, seed: int) -> None:
        self.share = share
        self._seed = seed

    def answer(self, sheet: FactSheet, asked: str) -> Answer:
        """What it says of `sheet`; the same for the same question."""
        draw = random.Random(f"{self._seed} {self.share} {asked}")  # noqa: S311  no secret is made of it
        voice = draw.choice([*PHRASINGS])
        draft = Draft(sheet=sheet, pieces=phrased(voice, sheet))
        truth = draft.text
        if draw.random() >= self.share:
            return Answer(body=json.dumps({"text": truth}), text=truth, truth=truth, voice=voice, lie=None)
        for kind in draw.sample(KINDS, len(KINDS)):
            if kind == SHAPE:
                name = draw.choice([*SHAPES])
                body, lie = SHAPES[name](truth), Lie(kind=kind, falsified=name)
                return Answer(body=body, text=truth, truth=truth, voice=voice, lie=lie)
            if ways := [*LIES[kind](draft)]:
                false = draw.choice(ways)
                lie = Lie(kind=kind, falsified=false.falsified)
                return Answer(body=json.dumps({"text": false.text}), text=false.text, truth=truth, voice=voice, lie=lie)
        raise AssertionError("a text that has no room for any lie")
