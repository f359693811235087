"""What stands around a part of a text: the subject spoken of, the words around, whether it is yet to come. Pure."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from carbonshift.explain.verification import words
from carbonshift.explain.verification.known import Role
from carbonshift.explain.verification.reading import Figure, Mark, Part, Unit, Word

__all__ = ["Context", "Relation"]

SENTENCE_ENDS = frozenset({"."})
CLAUSE_ENDS = frozenset({".", ";", ":"})
THRESHOLD_VERBS = frozenset(
    {
        "mark",
        "allows",
        "allowed",
        "allowing",
        "permits",
        "begins",
        "starts",
        "limit",
        "limits",
        "threshold",
        "range",
        "ceiling",
    }
)
ARTICLES = frozenset({"the", "a", "an", "its", "both", "that"})
LABELS = frozenset({Role.P10.value, Role.P50.value, Role.P90.value})
BEHIND = frozenset(
    {
        "with",
        "name",
        "(",
        ",",
        "at",
        "by",
        "on",
        "for",
        "in",
        "as",
        "the",
        "tomorrow",
        "where",
        "price",
        "prices",
        "and",
        "carbon",
        "follow",
        "they",
        "forecast",
        "outlook",
    }
)
IN_FRONT = frozenset(
    {
        "values",
        "(",
        "at",
        "it",
        "is",
        "on",
        "as",
        "late",
        "early",
        "gives",
        "says",
        "puts",
        "points",
        "shows",
        "for",
        "in",
        "to",
        "of",
        "be",
        "would",
        "forecast",
        "outlook",
        "putting",
    }
)
"""What may stand between a figure and the name of its quantile."""
THEN = frozenset(
    {"now", "then", "so", "also", "again", "thus", "therefore", "instead", "meanwhile", "and", "but", "please"}
)
ORDERS = frozenset({"stop", "restart", "suspend", "halt", "switch", "put", "give", "take"})
"""Verbs that do not go on with a sentence about one subject."""
LEAD_WORDS, TRAIL_WORDS = 6, 6


class Relation(Enum):
    """How a value stands to a limit."""

    ABOVE = "above"
    AT = "at"
    BELOW = "below"
    WITHIN = "within"

    def __str__(self) -> str:
        return self.value

    def holds(self, value: float, limit: float) -> bool:
        """Whether it does so."""
        return {
            Relation.ABOVE: value > limit,
            Relation.AT: value == limit,
            Relation.BELOW: value < limit,
            Relation.WITHIN: value <= limit,
        }[self]


@dataclass
class Context:
    """Moves along the parts of a text, from left to right."""

    parts: tuple[Part, ...]
    subjects: frozenset[str] = frozenset()
    """What was named last in the sentence: one, or two that `and` joins."""
    future: bool = False
    """Whether the sentence speaks of what is expected."""
    before: frozenset[str] = frozenset()
    """The subjects of the sentence before: what `it` may stand for."""

    @cached_property
    def labels(self) -> dict[int, int]:
        """Of each figure that has the name of a quantile beside it, where that stands: a name belongs to one figure."""
        found: dict[int, int] = {}
        for at, part in enumerate(self.parts):
            if isinstance(part, Figure):
                places = (self._label_in_front(at), self._label_behind(at))
                free = [place for place in places if place is not None and place not in found.values()]
                if part.unit is not Unit.CLOCK:  # of other figures only p50 is told
                    free = [place for place in free if self.parts[place] == Word(text=Role.P50, shown=Role.P50)]
                if free:
                    found[at] = min(free, key=lambda place: abs(place - at))
        return found

    def pass_by(self, at: int, fuels: AbstractSet[str]) -> None:
        """Take in the part at `at`."""
        part = self.parts[at]
        if _ends(part):
            self.before, self.subjects, self.future = self.subjects or self.before, frozenset(), False
        elif isinstance(part, Word):
            named = words.SUBJECTS.get(part.text) or (part.text if part.text in fuels else None)
            if named:
                self._name(named, self.lead(at))
            elif part.text in {"it", "its"} and not self.subjects:
                self.subjects = self.before
            self.future = self.future or part.text in words.FUTURE

    def _name(self, named: str, lead: list[str]) -> None:
        if lead[-2:] == ["score", "of"] or (named == "carbon" and lead[-4:-1] == ["score", "of", "price"]):
            return  # the score of price and carbon is still the score
        joined = (
            "and" in lead[-2:]
            and self.subjects & words.SIGNALS
            and self.subjects & {words.SUBJECTS.get(word) for word in lead[-3:]}
        )
        self.subjects = self.subjects | {named} if joined else frozenset({named})

    def lead(self, at: int) -> list[str]:
        """The last words before, in their order, back to a figure or to the end of a clause."""
        return list(reversed([*self._words(range(at - 1, -1, -1), LEAD_WORDS)]))

    def trail(self, at: int) -> list[str]:
        """The next words behind, up to a figure or to the end of a clause."""
        return [*self._words(range(at + 1, len(self.parts)), TRAIL_WORDS)]

    def begins_clause(self, at: int) -> bool:
        """Whether nothing stands before it."""
        part = self.parts[at - 1] if at else None
        return part is None or (isinstance(part, Mark) and part.text in CLAUSE_ENDS)

    def opens(self, at: int) -> bool:
        """Whether nothing stands before it in its clause but `now`, `then`, and the like, or a comma."""
        start, order = at, self.parts[at]
        while not self.begins_clause(start):
            part = self.parts[start - 1]
            if isinstance(part, Mark) and part.text == "," and isinstance(order, Word) and order.text in ORDERS:
                return True
            if not (isinstance(part, Word) and part.text in THEN):
                return False
            start -= 1
        return True

    def names_soon(self, at: int, named: AbstractSet[str]) -> bool:
        """Whether one of the words, or a figure, stands among the next few of the clause."""
        trail = self.trail(at)
        upto = at + 1 + len(trail)
        figure = len(trail) < TRAIL_WORDS and any(isinstance(part, Figure) for part in self.parts[upto : upto + 1])
        return figure or bool({*trail} & named)

    def follows_figure(self, at: int) -> bool:
        """Whether it stands right behind a figure."""
        return at > 0 and isinstance(self.parts[at - 1], Figure)

    def label(self, at: int) -> str | None:
        """The quantile that is named with the figure: `20:00 (p50)`, `p10 at 19:30`."""
        part = self.parts[self.labels[at]] if at in self.labels else None
        return part.text if isinstance(part, Word) else None

    def expects(self, at: int) -> bool:
        """Whether what is named at `at` is yet to come: `AMBER is expected`."""
        return self.future or any(word in words.FUTURE | {"next"} for word in self.trail(at)[:4])

    def sentence(self, at: int) -> list[str]:
        """All words before in the sentence, in their order."""
        start = next((place + 1 for place in range(at - 1, -1, -1) if _ends(self.parts[place])), 0)
        return [part.text for part in self.parts[start:at] if isinstance(part, Word)]

    def names_threshold(self, at: int) -> bool:
        """Whether a state is named for its threshold: `the $40 that GREEN allows`, `GREEN up to 0.35`."""
        trail = self.trail(at)
        lead = self.lead(at)
        if (trail and trail[0] in THRESHOLD_VERBS) or (
            lead[-1:] in (["for"], ["of"], ["means"]) and self._limit_near(at, lead)
        ):
            return True
        if lead[-2:] == ["is", "red"]:
            return True
        upto = at + 1 + len(trail)
        part = self.parts[upto] if upto < len(self.parts) else None
        return trail in (["up", "to"], ["from"], ["at"], ["below"], ["above"], ["begins", "at"], ["limit", "of"]) and (
            isinstance(part, Figure) and part.unit is Unit.BARE
        )

    def _limit_near(self, at: int, lead: list[str]) -> bool:
        """`too high for GREEN`, `the limit for GREEN`, `the 0.80 for RED`."""
        if {*lead[-4:]} & ({"high", "little", "mark", "point"} | words.LIMITS):
            return True
        part = self.parts[at - len(lead) - 1] if at > len(lead) else None
        return isinstance(part, Figure) and part.unit in {Unit.BARE, Unit.PRICE, Unit.CARBON}

    def relation(self, at: int) -> Relation | None:
        """How what is spoken of is said to stand to the figure or the limit at `at`."""
        lead = self.lead(at)
        for word, after in zip(reversed(lead), ["", *reversed(lead)], strict=False):
            if word in words.ABOVE or (after == "than" and word in {"higher", "more"}):
                return Relation.ABOVE
            if word in words.BELOW or (after == "than" and word in {"lower", "less"}):
                return Relation.BELOW
            if word in {"within", "inside"}:
                return Relation.WITHIN
            if word == "at":
                return Relation.AT
        return None

    def last_word(self, at: int) -> str:
        """The word before that is no article."""
        return next((word for word in reversed(self.lead(at)) if word not in ARTICLES), "")

    def follows_duration(self, at: int) -> bool:
        """`50 minutes in AMBER`."""
        part = self.parts[at - 2] if at > 1 and self.lead(at) == ["in"] else None
        return isinstance(part, Figure) and part.unit is Unit.DURATION

    def figure_near(self, at: int) -> bool:
        """Whether a limit has its figure beside it: `the $150 limit`, `limit of $150`."""
        return any(
            isinstance(part, Figure) for part in (*self.parts[max(at - 3, 0) : at], *self.parts[at + 1 : at + 4])
        )

    def called_cause(self, at: int) -> bool:
        """Whether what is named at `at` is said to have brought the change about."""
        lead = self.lead(at)
        while lead and lead[-1] in ARTICLES:
            lead.pop()
        if not lead:
            start = at - len(self.lead(at)) - 1
            part = self.parts[start] if start >= 0 else None
            return isinstance(part, Mark) and part.text == ":"
        return lead[-1] in {"as", "after", "since", "by"} or any(word in words.BECAUSE for word in lead)

    def _words(self, places: range, most: int) -> Iterator[str]:
        for place in places:
            part = self.parts[place]
            if isinstance(part, Figure) or (isinstance(part, Mark) and part.text in CLAUSE_ENDS):
                return
            if isinstance(part, Word):
                yield part.text
                most -= 1
            if not most:
                return

    def _label_behind(self, at: int) -> int | None:
        return self._label_among(range(at + 1, len(self.parts)), BEHIND)

    def _label_in_front(self, at: int) -> int | None:
        return self._label_among(range(at - 1, -1, -1), IN_FRONT)

    def _label_among(self, places: range, between: AbstractSet[str]) -> int | None:
        for place in places:
            part = self.parts[place]
            if isinstance(part, Word) and part.text in LABELS:
                return place
            if isinstance(part, Figure):
                if part.unit is not Unit.DATE:  # which belongs to the clock time beside it
                    return None
            elif part.text not in between:
                return None
        return None


def _ends(part: Part) -> bool:
    return isinstance(part, Mark) and part.text in SENTENCE_ENDS
