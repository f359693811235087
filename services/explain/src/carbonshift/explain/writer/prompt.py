"""What a model is asked: the facts of one transition, and on the second try what was wrong with the first. Pure."""

import json

from carbonshift.common.paid_model import Question
from carbonshift.explain.facts import FactSheet

__all__ = ["question_of"]

SYSTEM = """\
You tell the operators of a fleet of GPUs why the state of their region of the power grid has changed.
The user's message is one JSON object of data. null is unknown. In it:
- facts: all that is known. Use no number, time, date or name that does not stand there, as it stands there.
- wrong, where there is any: what in your last text is no fact. Write it anew without.
Answer with two sentences of plain text: what changed and why, then what it means for training."""


def question_of(sheet: FactSheet, wrong: tuple[str, ...] = ()) -> Question:
    """The question for a text about `sheet`, the last one of which had `wrong` in it."""
    asked = {"facts": sheet.facts()} | ({"wrong": wrong} if wrong else {})
    return Question(system=SYSTEM, user=json.dumps(asked, separators=(",", ":"), allow_nan=False))
