"""Ways to tell a transition falsely: each takes a true text and yields false ones, with what is false in them. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from carbonshift.backtest.narratives.phrasings import Piece, text_of_pieces
from carbonshift.backtest.narratives.said_falsely import (
    CAUSES,
    DISGUISES,
    FIGURES,
    FOREIGN_TEXTS,
    INJECTIONS,
    INSTRUCTIONS,
    SENTENCES,
    WRAPPINGS,
)
from carbonshift.common.events import Pulse
from carbonshift.explain.facts import FactSheet

__all__ = ["LIES", "Draft", "Falsehood"]

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
CLOCK = re.compile(r"\d\d:\d\d")
OTHER_DIGITS = ("\uff10", "\u0660", "\u0966", "\u06f0", "\U0001d7ce", "\u2080")
"""The zero of digits that are not ASCII; some of them a text may lose without becoming another."""
BOTH = re.compile("[Pp]rice.*carbon|[Cc]arbon.*(price|missing|intensity)|consumption")
"""Words in which one signal in the place of another would make no sense rather than a lie."""
ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OPPOSITE = {
    "rose": "fell",
    "fell": "rose",
    "up": "down",
    "down": "up",
    "above": "below",
    "below": "above",
    "at": "below",
}
MINUTES_A_DAY = 1_440


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A true text, in its pieces, and what it is about."""

    sheet: FactSheet
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """As it stands."""
        return text_of_pieces(self.pieces)

    def facts(self, *names: str) -> Iterator[tuple[int, Piece]]:
        """The pieces that are those facts, any fact without names, and where they stand."""
        for at, piece in enumerate(self.pieces):
            if piece.fact and (not names or piece.fact in names):
                yield at, piece

    def instead(self, at: int, text: str) -> "Falsehood":
        """With another text in the place of that piece."""
        piece = self.pieces[at]
        told = text_of_pieces((*self.pieces[:at], Piece(text=text), *self.pieces[at + 1 :]))
        return Falsehood(falsified=f"{piece.fact or 'words'}: {piece.text} became {text}", text=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Falsehood:
    """A text, and what is false in it."""

    falsified: str
    text: str


Way = Callable[[Draft], Iterator[Falsehood]]


def _numbers(change: Callable[[str], str | None], draft: Draft) -> Iterator[Falsehood]:
    """Every number of a fact, changed."""
    for at, piece in draft.facts():
        match = NUMBER.search(piece.text)
        if match is None or CLOCK.match(piece.text):
            continue
        changed = change(match[0])
        if changed is not None and changed != match[0]:
            yield draft.instead(at, piece.text[: match.start()] + changed + piece.text[match.end() :])


def _last_digit(number: str) -> str:
    return number[:-1] + str((int(number[-1]) + 1) % 10)


def _first_digit(number: str) -> str:
    return str(int(number[0]) % 9 + 1) + number[1:]


def _coarse(number: str) -> str | None:
    """One digit that counts, off by more than 5 %."""
    value = float(number.replace(",", ""))
    digits = len(f"{value:.0f}") - 1
    coarse = round(value, -digits) if value >= 1 else round(value, 1)
    return None if abs(coarse - value) <= 0.05 * value else f"{coarse:g}" if value < 1 else f"{coarse:,.0f}"


def _swapped_digits(number: str) -> str | None:
    return next(
        (
            number[:at] + number[at + 1] + number[at] + number[at + 2 :]
            for at in range(len(number) - 1)
            if number[at : at + 2].isdigit() and number[at] != number[at + 1] and not (at == 0 and number[1] == "0")
        ),
        None,
    )


def _tenfold(number: str) -> str | None:
    value = float(number.replace(",", ""))
    return f"{10 * value:,.10g}" if value else None


def _tenth(number: str) -> str | None:
    return f"{number[:-1]}.{number[-1]}" if number.isdigit() and int(number) and len(number) > 1 else None


def _in_words(number: str) -> str:
    """Digit by digit, of a number next to it."""
    return " ".join(ONES[int(digit)] if digit.isdigit() else "point" for digit in _last_digit(number) if digit != ",")


def _round_words(number: str) -> str | None:
    return f"{ONES[int(number[0]) % 9 + 1]} hundred" if len(number) == 3 and number.isdigit() else None  # noqa: PLR2004


def _signs(draft: Draft) -> Iterator[Falsehood]:
    for at, piece in draft.facts():
        if NUMBER.match(piece.text.lstrip("-$")) and re.search("[1-9]", piece.text) and not CLOCK.match(piece.text):
            yield draft.instead(at, piece.text[1:] if piece.text.startswith("-") else f"-{piece.text}")


def _other_digits(draft: Draft) -> Iterator[Falsehood]:
    """Of a number that is false as well."""
    for false in _numbers(_last_digit, draft):
        for zero in OTHER_DIGITS:
            digits = str.maketrans({str(digit): chr(ord(zero) + digit) for digit in range(10)})
            yield Falsehood(falsified=f"{false.falsified}, in digits from {zero}", text=false.text.translate(digits))


def _hedged(hedge: str, draft: Draft) -> Iterator[Falsehood]:
    """A tenth off, and called rough."""
    for at, piece in draft.facts():
        match = NUMBER.search(piece.text)
        if match and not CLOCK.match(piece.text) and (value := float(match[0].replace(",", ""))):
            off = f"{1.1 * value:,.0f}" if value >= 10 else f"{1.1 * value:.2f}"  # noqa: PLR2004
            if off != match[0]:
                yield draft.instead(at, f"{hedge} {piece.text[: match.start()]}{off}{piece.text[match.end() :]}")


def _swapped(first: str, second: str, draft: Draft) -> Iterator[Falsehood]:
    """Two facts, each where the other should stand."""
    for at, one in draft.facts(first):
        for to, other in draft.facts(second):
            if one.text != other.text:
                pieces = [*draft.pieces]
                pieces[at], pieces[to] = other, one
                yield Falsehood(falsified=f"{first} and {second} swapped", text=text_of_pieces(pieces))


def _taken(name: str, source: str, draft: Draft) -> Iterator[Falsehood]:
    """One fact where another should stand, which may not be told at all."""
    told = {piece.fact: piece.text for piece in draft.pieces}
    for at, piece in draft.facts(name):
        if source in told and told[source] != piece.text:
            yield draft.instead(at, told[source])


def _units(draft: Draft) -> Iterator[Falsehood]:
    for at, piece in draft.facts():
        for old, new in UNITS:
            if re.search(rf"(?<![A-Za-z]){re.escape(old)}(?![A-Za-z/])", piece.text):
                yield draft.instead(at, piece.text.replace(old, new))
                break


UNITS = (
    ("/MWh", "/kWh"), ("/MWh", "/GPU"), ("g/kWh", "kg/kWh"), ("g/kWh", "g/MWh"), ("W", "kW"), ("W", "%"), ("W", "MW"),
    ("minutes", "h"), ("h", "min"), ("$", "EUR "), ("min", "seconds"),
)  # fmt: skip


def _dropped_units(draft: Draft) -> Iterator[Falsehood]:
    """Of one signal the unit of another."""
    for at, piece in draft.facts("price", "price_before", "price_then", "optimal_price", "critical_price"):
        yield draft.instead(at, piece.text.replace("$", "").replace("/MWh", " g/kWh"))
    for at, piece in draft.facts("carbon", "carbon_before", "optimal_carbon", "critical_carbon"):
        yield draft.instead(at, "$" + piece.text.replace(" g/kWh", "/MWh"))


def _times(minutes: int, draft: Draft) -> Iterator[Falsehood]:
    for at, piece in draft.facts():
        if match := CLOCK.match(piece.text):
            hour, minute = divmod((int(match[0][:2]) * 60 + int(match[0][3:]) + minutes) % MINUTES_A_DAY, 60)
            yield draft.instead(at, f"{hour:02}:{minute:02}{piece.text[match.end() :]}")


def _days(draft: Draft) -> Iterator[Falsehood]:
    for at, piece in draft.facts("p50", "p10", "p90", "since"):
        day = " tomorrow"
        yield draft.instead(at, piece.text.removesuffix(day) if piece.text.endswith(day) else f"{piece.text}{day}")


def _states(name: str, draft: Draft) -> Iterator[Falsehood]:
    for at, piece in draft.facts(name):
        yield from (draft.instead(at, state.value) for state in Pulse if state.value != piece.text)


def _opposite(ending: str, draft: Draft) -> Iterator[Falsehood]:
    for at, piece in draft.facts():
        if piece.fact and re.search(ending, piece.fact) and piece.text in OPPOSITE:
            yield draft.instead(at, OPPOSITE[piece.text])


def _consequence(draft: Draft) -> Iterator[Falsehood]:
    for at, _ in draft.facts("runs"):
        yield from (draft.instead(at, said) for said in ("is paused", "stopped", "waits", "halts"))
    for at, _ in draft.facts("paused"):
        yield from (draft.instead(at, said) for said in ("running", "resumed", "continuing", "back"))
    sentence = "Training is paused." if draft.sheet.run else "Training runs."
    yield Falsehood(falsified="a sentence on training", text=f"{draft.text} {sentence}")


def _words(old: str, new: str, draft: Draft) -> Iterator[Falsehood]:
    """The words between the facts, one by another."""
    for at, piece in enumerate(draft.pieces):
        if piece.fact is None:
            changed = re.sub(rf"\b{old}\b", new, piece.text)
            if changed != piece.text and not BOTH.search(piece.text):
                yield draft.instead(at, changed)


def _denied(draft: Draft) -> Iterator[Falsehood]:
    for denial in ("not", "never", "no longer", "hardly"):
        for verb in ("is", "runs", "rose", "fell", "began", "draws", "resumed", "paused"):
            if re.search(rf"\b{verb}\b", draft.text):
                text = re.sub(rf"\b{verb}\b", f"{verb} {denial}", draft.text, count=1)
                yield Falsehood(falsified=f"{verb} {denial}", text=text)
    yield Falsehood(falsified="all of it", text=f"It is not so that {draft.text}")


def _caused(draft: Draft) -> Iterator[Falsehood]:
    for cause in CAUSES:
        yield Falsehood(falsified=f"cause: {cause}", text=f"{draft.text.removesuffix('.')}, {cause}.")
        head, stop, tail = draft.text.partition(". ")
        if stop:
            yield Falsehood(falsified=f"cause: {cause}", text=f"{head}, {cause}. {tail}")


def _wrong_cause(draft: Draft) -> Iterator[Falsehood]:
    """A signal that decided nothing, where the reasons name the other one alone."""
    reasons = {*draft.sheet.reasons}
    scored = {reason for reason in reasons if reason.startswith("score_")} - (
        set() if draft.sheet.state is Pulse.GREEN else {"score_low"}
    )
    told = {signal for signal in ("price", "carbon") if any(reason.startswith(signal) for reason in reasons)}
    if scored or len(told) != 1 or "signals_disagree" in reasons:
        return
    (wrong,) = {"price", "carbon"} - told
    for said in (f"The cause is the {wrong}.", f"It came because of {wrong}.", f"The {wrong} brought this about."):
        yield Falsehood(falsified=f"{wrong} as the cause", text=f"{draft.text} {said}")


def _summed(draft: Draft) -> Iterator[Falsehood]:
    """A difference or a sum that is none."""
    price, fleet = draft.sheet.price, draft.sheet.fleet
    if price.value is not None and price.before is not None:
        wrong = abs(price.value - price.before) * 1.2 + 1
        yield from _added(draft, "wrong sum", f"The price moved by ${wrong:,.0f}/MWh.", f"That is ${wrong:,.0f} more.")
        share = 100 * wrong / (abs(price.before) or 1.0)
        yield from _added(draft, "wrong share", f"The price moved by {share:.0f} %.", f"A move of {share:.0f} percent.")
    if fleet:
        wrong = fleet.before_w + fleet.now_w
        yield from _added(
            draft, "wrong sum", f"The fleet's draw changed by {wrong:,.0f} W.", f"It shed {wrong:,.0f} W."
        )
        yield from _added(draft, "wrong sum", f"Together the boards draw {wrong:,.0f} W.")


def _added(draft: Draft, falsified: str, *sentences: str) -> Iterator[Falsehood]:
    for sentence in sentences:
        yield Falsehood(falsified=f"{falsified}: {sentence}", text=f"{draft.text} {sentence}")


def _all_of(falsified: str, sentences: tuple[str, ...], draft: Draft) -> Iterator[Falsehood]:
    """Each sentence, before the text and behind it."""
    yield from _added(draft, falsified, *sentences)
    yield from (Falsehood(falsified=f"{falsified}: {one}", text=f"{one} {draft.text}") for one in sentences)


def _sentences(draft: Draft) -> Iterator[Falsehood]:
    """Of known words alone."""
    for sentence, is_false in SENTENCES:
        if is_false(draft.sheet):
            yield from _added(draft, "sentence", sentence)


def _wrapped(wrappings: Mapping[str, Callable[[str], str]], draft: Draft) -> Iterator[Falsehood]:
    for name, wrap in wrappings.items():
        yield Falsehood(falsified=name, text=wrap(draft.text))


def _foreign(draft: Draft) -> Iterator[Falsehood]:
    del draft
    for text in FOREIGN_TEXTS:
        yield Falsehood(falsified="another text altogether", text=text)


LIES: Mapping[str, Way] = MappingProxyType(
    {
        "number: last digit": partial(_numbers, _last_digit),
        "number: first digit": partial(_numbers, _first_digit),
        "number: rounded away": partial(_numbers, _coarse),
        "number: digits swapped": partial(_numbers, _swapped_digits),
        "number: ten times": partial(_numbers, _tenfold),
        "number: decimal point": partial(_numbers, _tenth),
        "number: in words": partial(_numbers, _in_words),
        "number: round, in words": partial(_numbers, _round_words),
        "number: sign": _signs,
        "number: other digits": _other_digits,
        "number: hedged": lambda draft: (false for hedge in ("about", "roughly") for false in _hedged(hedge, draft)),
        "number: invented": partial(_all_of, "figure", FIGURES),
        "number: wrong sum": _summed,
        "swapped: price before and now": partial(_swapped, "price_before", "price"),
        "swapped: carbon before and now": partial(_swapped, "carbon_before", "carbon"),
        "swapped: score before and now": partial(_swapped, "score_before", "score"),
        "swapped: price and its limit": partial(_swapped, "price", "optimal_price"),
        "swapped: carbon and its limit": partial(_swapped, "carbon", "optimal_carbon"),
        "swapped: score and its limit": lambda draft: (
            false for limit in ("green_score", "red_score") for false in _swapped("score", limit, draft)
        ),
        "swapped: limits of the score": partial(_swapped, "between_green", "between_red"),
        "swapped: p10 and p90": partial(_swapped, "p10", "p90"),
        "swapped: p50 and another quantile": lambda draft: (
            false for other in ("p10", "p90") for false in _swapped("p50", other, draft)
        ),
        "swapped: begun and expected": partial(_swapped, "since", "p50"),
        "swapped: watts before and now": partial(_swapped, "fleet_before", "fleet"),
        "swapped: limit and draw": partial(_swapped, "limit_w", "fleet"),
        "swapped: durations": lambda draft: (
            false
            for other in ("price_within", "carbon_within", "horizon")
            for false in (*_swapped("lasted", other, draft), *_taken("lasted", other, draft))
        ),
        "swapped: price now and expected": partial(_swapped, "price", "price_then"),
        "swapped: states": lambda draft: (
            false
            for pair in (("state", "previous"), ("state", "coming"), ("previous", "coming"))
            for false in _swapped(*pair, draft)
        ),
        "unit: another": _units,
        "unit: of the other signal": _dropped_units,
        "time: five minutes": partial(_times, 5),
        "time: an hour": partial(_times, -60),
        "time: twelve hours": partial(_times, 720),
        "time: another day": _days,
        "state: now": partial(_states, "state"),
        "state: before": partial(_states, "previous"),
        "state: expected": partial(_states, "coming"),
        "direction": partial(_opposite, "_rose$|_up$"),
        "relation to a limit": partial(_opposite, "_to_"),
        "consequence": _consequence,
        "subject": lambda draft: (
            false
            for pair in (("price", "carbon"), ("[Cc]arbon", "price"), ("score", "price"))
            for false in _words(*pair, draft)
        ),
        "expected as begun": lambda draft: (
            false
            for pair in (("is expected", "began"), ("is likely", "came"))
            if not any(draft.facts("no_change"))
            for false in _words(*pair, draft)
        ),
        "negation": _denied,
        "cause: invented": _caused,
        "cause: the wrong signal": _wrong_cause,
        "sentence of known words": _sentences,
        "instruction": partial(_all_of, "instruction", INSTRUCTIONS),
        "injection": partial(_all_of, "injection", INJECTIONS),
        "markup, link": partial(_wrapped, WRAPPINGS),
        "characters": partial(_wrapped, DISGUISES),
        "junk": _foreign,
    }
)
"""By kind."""
