"""What stands around a part of a text: the subject spoken of, the words around, whether it is yet to come. Pure."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from carbonshift.explain.verification import words
from carbonshift.explain.verification.known import Role
from carbonshift.explain.verification.reading import Figure, Mark, Part, Unit, Word

__all__ = ["Context", "Relation"]

SENTENCE_ENDS = frozenset({"."})
CLAUSE_ENDS = frozenset({".", ";", ":"})
THRESHOLD_VERBS = frozenset({"allows", "allowed", "allowing", "permits", "begins", "limit", "threshold", "starts"})
ARTICLES = frozenset({"the", "a", "an", "its", "both", "that"})
LABELS = frozenset({Role.P10.value, Role.P50.value, Role.P90.value})
LEAD_WORDS, TRAIL_WORDS, LABEL_WITHIN = 6, 6, 5


class Relation(Enum):
    """How a value stands to a limit."""

    ABOVE = "above"
    AT = "at"
    BELOW = "below"

    def __str__(self) -> str:
        return self.value

    def holds(self, value: float, limit: float) -> bool:
        """Whether it does so."""
        return {Relation.ABOVE: value > limit, Relation.AT: value == limit, Relation.BELOW: value < limit}[self]


@dataclass(slots=True)
class Context:
    """Moves along the parts of a text, from left to right."""

    parts: tuple[Part, ...]
    subject: str | None = None
    """What was named last in the sentence."""
    future: bool = False
    """Whether the sentence speaks of what is expected."""
    before: str | None = None
    """The subject of the sentence before: what `it` may stand for."""

    @property
    def labels(self) -> AbstractSet[int]:
        """Where the names of quantiles stand that belong to a figure."""
        return {self._label_at(at) for at, part in enumerate(self.parts) if isinstance(part, Figure)} - {-1}

    def pass_by(self, at: int, fuels: AbstractSet[str]) -> None:
        """Take in the part at `at`."""
        part = self.parts[at]
        if isinstance(part, Mark) and part.text in SENTENCE_ENDS:
            self.before, self.subject, self.future = self.subject or self.before, None, False
        elif isinstance(part, Word):
            self.subject = words.SUBJECTS.get(part.text, part.text if part.text in fuels else self.subject)
            if part.text in {"it", "its"} and self.subject is None:
                self.subject = self.before
            self.future = self.future or part.text in words.FUTURE

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

    def label(self, at: int) -> str | None:
        """The quantile that stands behind the figure: `20:00 (p50)`, `19:30 at p10`."""
        where = self._label_at(at)
        part = self.parts[where]
        return part.text if where >= 0 and isinstance(part, Word) else None

    def names_threshold(self, at: int) -> bool:
        """Whether a state is named for its threshold: `the $40 that GREEN allows`, `GREEN up to 0.35`."""
        trail = self.trail(at)
        if trail and trail[0] in THRESHOLD_VERBS:
            return True
        upto = at + 1 + len(trail)
        part = self.parts[upto] if upto < len(self.parts) else None
        return trail in (["up", "to"], ["from"], ["at"], ["below"], ["above"], ["begins", "at"]) and (
            isinstance(part, Figure) and part.unit is Unit.BARE
        )

    def relation(self, at: int) -> Relation | None:
        """How what is spoken of is said to stand to the figure or the limit at `at`."""
        for word in reversed(self.lead(at)):
            if word in words.ABOVE:
                return Relation.ABOVE
            if word in words.BELOW:
                return Relation.BELOW
            if word == "at":
                return Relation.AT
        return None

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

    def _label_at(self, at: int) -> int:
        """-1 where there is none."""
        for place in range(at + 1, min(at + LABEL_WITHIN, len(self.parts))):
            part = self.parts[place]
            if isinstance(part, Word) and part.text in LABELS:
                return place
            if isinstance(part, Figure) or (part.text not in {"(", "at", "by", ",", "the", "tomorrow"}):
                return -1
        return -1
