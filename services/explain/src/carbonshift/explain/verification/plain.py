"""A text as the characters of a plain English sentence, or what keeps it from being one. Pure."""

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["LONGEST_CHARACTERS", "foreign_characters", "plain"]

LONGEST_CHARACTERS = 800
SAME = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2010": "-", "\u2011": "-"}
    | {"\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-"}
)
SPACE = re.compile(r"[ \n\r\t]+")
FOREIGN = re.compile(r"[^A-Za-z0-9 .,;:()$%/'\"-]|(?<=[A-Za-z])\.(?=[A-Za-z])|--|//")


def plain(text: str) -> str:
    """`text` on one line, typographic quotes, dashes and digits as their ASCII forms; nothing is left out."""
    return SPACE.sub(" ", unicodedata.normalize("NFKC", text).translate(SAME)).strip()


def foreign_characters(text: str, names: Iterable[str] = ()) -> tuple[str, ...]:
    """What a plain text has not, by name: control and escape sequences, markup, addresses, letters of other scripts.

    The characters of `names` are not looked at where these stand.
    """
    for name in names:
        text = re.sub(re.escape(name), "", text, flags=re.IGNORECASE)
    found = dict.fromkeys(FOREIGN.findall(text))
    return tuple(" ".join(unicodedata.name(one, f"U+{ord(one):04X}") for one in mark) for mark in found)
