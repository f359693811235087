"""A plain text taken apart: words, marks, and figures with their units. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

__all__ = ["Figure", "Mark", "Part", "Unit", "Word", "read"]


class Unit(StrEnum):
    """What a figure measures."""

    PRICE = "$/MWh"
    CARBON = "g/kWh"
    POWER = "W"
    PERCENT = "%"
    DURATION = "minutes"
    CLOCK = "clock time"
    DATE = "date"
    BARE = "number"
    """A score, or how many."""
    WRONG = "unit of nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """`text` is what it says, in lower case."""

    text: str
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Punctuation."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its unit, a duration, a clock time or a date."""

    shown: str
    unit: Unit
    value: float | str
    """In the unit; a clock time or a date as it stands."""
    decimals: int = 0
    scale: float = 1.0
    """Of a unit that is larger: 1000 for kW."""


Part = Word | Mark | Figure

NO_NAMES: Mapping[str, str] = MappingProxyType({})
NOTHING = "(?!)"

TOKEN = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})(?![\w-])"
    r"|(?P<clock>\d{1,2}:\d{2})(?!\w|:\d)"
    r"|(?P<money>-?\$\s?-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?![\w])"
    r"|(?P<number>(?:(?<![\w.$-])-)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)"
    r"|(?P<unit>/\s?(?:MWh|kWh)\b)"
    r"|(?P<word>[A-Za-z][A-Za-z0-9]*(?:'[A-Za-z]+)?)"
    r"|(?P<mark>[^\s])"
)
"""A number that a letter follows at once, as in 10min, is a number, and the letters are its unit."""
UNITS: tuple[tuple[re.Pattern[str], Unit, float], ...] = tuple(
    (re.compile(rf"\s?(?:{pattern})(?![A-Za-z0-9/])"), unit, scale)
    for pattern, unit, scale in (
        (r"(?:USD|dollars?)\s?(?:/|per )\s?MWh", Unit.PRICE, 1.0),
        (r"g(?:rams?)?(?: ?CO2(?:e|eq)?)?\s?(?:/|per )\s?kWh", Unit.CARBON, 1.0),
        (r"W|[Ww]atts?", Unit.POWER, 1.0),
        (r"kW|[Kk]ilowatts?", Unit.POWER, 1e3),
        (r"MW|[Mm]egawatts?", Unit.POWER, 1e6),
        (r"%|percent|per cent", Unit.PERCENT, 1.0),
    )
)
PER_MWH = re.compile(r"\s?(?:/|per )\s?(?:MWh|megawatt-hour|megawatt hour)(?![A-Za-z0-9])")
PER_OTHER = re.compile(r"\s?(?:/|per )\s?\w+")
MINUTES = {"d": 1_440, "h": 60, "m": 1}
SPAN = re.compile(r"(?:\s|-|and )*(\d+)[\s-]?(d(?:ays?)?|h(?:ours?|rs?)?|min(?:utes?|s)?)(?![A-Za-z0-9])")


def read(text: str, names: Mapping[str, str] = NO_NAMES) -> tuple[Part, ...]:
    """The parts of `text` in their order; nothing but spaces is left out.

    Args:
        text: of plain characters.
        names: in lower case, each with the word that it is wherever it stands, whatever characters it has.
    """
    parts: list[Part] = []
    name = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names)) or NOTHING})(?![\w-])", re.IGNORECASE)
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif match := name.match(text, at):
            parts.append(Word(text=names[match[0].lower()], shown=match[0]))
            at = match.end()
        else:
            part, at = _part(text, at)
            parts.append(part)
    return tuple(_shared_units(parts))


def _part(text: str, at: int) -> tuple[Part, int]:
    match = TOKEN.match(text, at)
    assert match is not None  # noqa: S101  # any character is a mark
    kind, shown = match.lastgroup, match[0]
    if kind == "word":
        return Word(text=shown.lower(), shown=shown), match.end()
    if kind in {"clock", "date"}:
        return Figure(shown=shown, unit=Unit.CLOCK if kind == "clock" else Unit.DATE, value=shown), match.end()
    if kind == "money":
        return _price(text, match)
    if kind == "number":
        return _number(text, match)
    return Mark(text=shown), match.end()


def _price(text: str, match: re.Match[str]) -> tuple[Part, int]:
    end = match.end()
    if per := PER_MWH.match(text, end):
        return _figure(text[match.start() : per.end()], match[0], Unit.PRICE), per.end()
    if per := PER_OTHER.match(text, end):
        return _figure(text[match.start() : per.end()], match[0], Unit.WRONG), per.end()
    return _figure(match[0], match[0], Unit.PRICE), end


def _number(text: str, match: re.Match[str]) -> tuple[Part, int]:
    start, end, minutes = match.start(), match.start(), 0
    while not match[0].startswith("-") and (span := SPAN.match(text, end)):
        minutes, end = minutes + int(span[1]) * MINUTES[span[2][0]], span.end()
    if end > start:
        return Figure(shown=text[start:end], unit=Unit.DURATION, value=float(minutes)), end
    for pattern, unit, scale in UNITS:
        if unit_match := pattern.match(text, match.end()):
            return _figure(text[start : unit_match.end()], match[0], unit, scale), unit_match.end()
    if per := re.compile(r"\s?[A-Za-z]*/\s?\w+").match(text, match.end()):
        return _figure(text[start : per.end()], match[0], Unit.WRONG), per.end()
    return _figure(match[0], match[0], Unit.BARE), match.end()


def _figure(shown: str, number: str, unit: Unit, scale: float = 1.0) -> Figure:
    digits = number.replace("$", "").replace(",", "").replace(" ", "")
    decimals = len(digits.partition(".")[2])
    return Figure(shown=shown, unit=unit, value=float(digits) * scale, decimals=decimals, scale=scale)


def _shared_units(parts: list[Part]) -> list[Part]:
    """Of `from 200 to 268 g/kWh` both have the unit that stands behind the second."""
    for at in range(len(parts) - 2):
        first, link, second = parts[at : at + 3]
        if (
            isinstance(first, Figure)
            and first.unit is Unit.BARE
            and isinstance(link, Word | Mark)
            and link.text in {"to", "and", "-", "or"}
            and isinstance(second, Figure)
            and second.unit in {Unit.PRICE, Unit.CARBON, Unit.POWER, Unit.PERCENT}
            and isinstance(first.value, float)
        ):
            parts[at] = replace(first, unit=second.unit, value=first.value * second.scale, scale=second.scale)
    return parts
