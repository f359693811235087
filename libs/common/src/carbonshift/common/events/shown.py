"""Free text of an event, harmless wherever it is shown: the bus is written to by whoever may. Pure."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["REPLACED", "Shown", "ShownLines", "harmless"]

REPLACED = "\N{REPLACEMENT CHARACTER}"
"""Stands for each character that is left out, so that it is seen that something was there."""
ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""General categories: control (escape sequences begin with one), format (bidi and zero-width), lone surrogates, private
use, and the separators that break a line."""
INVISIBLE = frozenset(
    map(
        chr,
        (
            0x034F,
            *range(0x115F, 0x1161),
            *range(0x17B4, 0x17B6),
            *range(0x180B, 0x1810),
            0x2065,
            0x2800,
            0x3164,
            *range(0xFE00, 0xFE10),
            0xFFA0,
            *range(0xFFF0, 0xFFF9),
            *range(0xE0000, 0xE1000),
        ),
    )
)
"""Of no width or no ink though of another category.

Source: Default_Ignorable_Code_Point in https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt, and the
blank of Braille.
"""
OPENS_MARKUP = "<"
"""Without it a page finds no element. What rich would take for markup is shown as plain text by whoever draws it."""


def harmless(text: str, kept: str = "") -> str:
    """`text` with U+FFFD for whatever a terminal or a page would obey rather than show; as long as before.

    Args:
        text: of anybody.
        kept: characters that are let through, such as the end of a line.
    """
    if text.isascii() and text.isprintable() and OPENS_MARKUP not in text:  # what nearly all of it is
        return text
    return "".join(character if character in kept or _shows(character) else REPLACED for character in text)


def _shows(character: str) -> bool:
    return unicodedata.category(character) not in ACTING and character not in INVISIBLE and character != OPENS_MARKUP


Shown = Annotated[str, AfterValidator(harmless)]
"""One line, harmless once it is read."""

ShownLines = Annotated[str, AfterValidator(lambda text: harmless(text, kept="\n"))]
"""Likewise, of several lines."""
