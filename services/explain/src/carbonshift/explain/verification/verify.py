"""Whether every figure, time, unit, state and cause in a text is a fact, and in the part that it plays there. Pure.

The words are a closed set and every figure needs a fact of its unit, its subject and its role: what is before a change
may not stand where what is after it should. A text that cannot be read that way is refused, true or not.
"""

from collections.abc import Sequence

from carbonshift.explain.facts import FactSheet
from carbonshift.explain.verification.plain import LONGEST_CHARACTERS, foreign_characters
from carbonshift.explain.verification.reader import Reader
from carbonshift.explain.verification.reading import read
from carbonshift.explain.verification.vocabulary import names_of

__all__ = ["violations"]

FEWEST_CHARACTERS = 40
MOST_TOLD = 8
"""More of them help no writer."""


def violations(text: str, sheet: FactSheet) -> tuple[str, ...]:
    """What stands against publishing `text`, each in a few words for its writer; empty is good.

    Args:
        text: as `plain` leaves it, and to be published exactly so.
        sheet: all that may be said.
    """
    names = names_of(sheet)
    if foreign := foreign_characters(text, names):
        return tuple(f"a character that no plain sentence has: {name}" for name in foreign[:MOST_TOLD])
    if not FEWEST_CHARACTERS <= len(text) <= LONGEST_CHARACTERS:
        return (f"{len(text)} characters: {FEWEST_CHARACTERS} to {LONGEST_CHARACTERS} are asked for",)
    reader = Reader(sheet, read(text, names))
    return _told((*reader.wrong(), *reader.missing()))


def _told(wrong: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(wrong))[:MOST_TOLD]
