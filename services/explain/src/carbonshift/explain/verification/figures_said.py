"""Whether a figure in a text is the fact that the words around it make it out to be. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from carbonshift.explain.verification import words
from carbonshift.explain.verification.context import Context
from carbonshift.explain.verification.known import About, Known, Role
from carbonshift.explain.verification.reading import Figure, Unit

__all__ = ["refuted"]

HEDGES = frozenset({"about", "around", "roughly", "approximately", "some", "nearly", "almost"})
HEDGED_SHARE = 0.05
FEWEST_SCORE_DECIMALS = 2
PAST = frozenset({"before", "earlier", "previously"})
UNTIL = frozenset({"for", "after", "following", "lasted", "lasting"})
MOVING = frozenset({"in", "within", "over", "during"})
UPWARD, DOWNWARD = words.UP | {"up"}, words.DOWN | {"down"}


@dataclass(frozen=True, slots=True)
class Part:
    """What a figure is made out to be."""

    roles: frozenset[Role]
    about: frozenset[str]
    """Empty: of anything."""


@dataclass(frozen=True, slots=True)
class Said:
    """A figure and the words around it."""

    figure: Figure
    context: Context
    at: int
    lead: list[str]
    trail: list[str]

    @property
    def last(self) -> str:
        """The word before it that is neither a hedge nor a day."""
        return next((word for word in reversed(self.lead) if word not in HEDGES | {"tomorrow"}), "")

    @property
    def moves(self) -> int:
        """1 where the words before speak of a rise, -1 of a fall, 0 of neither."""
        return any(word in UPWARD for word in self.lead) - any(word in DOWNWARD for word in self.lead)


def refuted(figure: Figure, context: Context, at: int, known: Collection[Known]) -> Iterator[str]:
    """What is wrong with the figure at `at`; nothing where it is a fact there."""
    said = Said(figure, context, at, context.lead(at), context.trail(at))
    part = READINGS[figure.unit](said) if figure.unit in READINGS else None
    if part is None:
        yield f"{figure.shown}: it cannot be told what this is the {figure.unit} of"
        return
    facts = [
        one
        for one in known
        if one.unit is figure.unit
        and one.role in part.roles
        and (not part.about or one.about in part.about)
        and _equal(said, one)
    ]
    if not facts:
        yield f"{figure.shown} is no fact where it stands"
    elif not any(_goes_with(said, one, known) for one in facts):
        yield f"{figure.shown}: what is said around it is not so"


def _signal(about: About) -> Callable[[Said], Part | None]:
    """A price, or a carbon intensity."""

    def reading(said: Said) -> Part | None:
        roles, subject = _value_roles(said), said.context.subject
        told_by_unit = said.context.future or roles <= {Role.CRITICAL, Role.OPTIMAL}
        if subject not in {None, about, About.TRAINING, "jobs"} and not told_by_unit:
            return None
        return Part(roles, frozenset({about}))

    return reading


def _value_roles(said: Said) -> frozenset[Role]:
    future = said.context.future
    near = {*said.lead[-3:], *said.trail[:1]}
    if near & words.LIMITS or set(said.lead[-3:]) & (words.ABOVE | words.BELOW) or said.trail[:2] == ["that", "green"]:
        return frozenset({Role.OPTIMAL} if "green" in said.trail[:2] else {Role.CRITICAL, Role.OPTIMAL})
    if said.last == "by":
        return frozenset({Role.CHANGE})
    if said.last == "from":
        return frozenset({Role.NOW if future else Role.BEFORE})
    if future:
        return frozenset({Role.THEN})
    if PAST & {*said.lead[-2:], *said.trail[:1]}:
        return frozenset({Role.BEFORE})
    return frozenset({Role.NOW})


def _power(said: Said) -> Part | None:
    subject = said.context.subject
    if subject == About.TOKENS:
        return Part(frozenset({Role.NOW}), frozenset({About.TOKENS}))
    if subject not in {About.FLEET, "jobs"}:
        return Part(frozenset({Role.NOW}), frozenset({About.TRAINING})) if subject in {None, About.TRAINING} else None
    if said.last == "by" or {"shed", "sheds", "shedding"} & {*said.lead[-2:]}:
        return Part(frozenset({Role.CHANGE}), frozenset({About.FLEET}))
    before = said.last == "from" or bool(PAST & {*said.lead[-2:], *said.trail[:1]})
    return Part(frozenset({Role.BEFORE if before else Role.NOW}), frozenset({About.FLEET}))


def _percent(said: Said) -> Part | None:
    subject = said.context.subject
    if subject is None or subject in {About.SCORE, About.TRAINING, About.FLEET, About.TOKENS, "jobs"}:
        return None
    if subject in {About.PRICE, About.CARBON}:
        return Part(frozenset({Role.CHANGE}), frozenset({subject}))
    return Part(frozenset({Role.BEFORE if said.last == "from" else Role.NOW}), frozenset({subject}))


def _bare(said: Said) -> Part | None:
    trail, near = said.trail, {*said.lead[-3:], *said.trail[:3]}
    if trail[:1] in (["job"], ["jobs"]):
        doing = [
            about for about, said_so in ((About.PAUSED, words.STOPS), (About.RESUMED, words.RUNS)) if near & said_so
        ]
        return Part(frozenset({Role.NOW}), frozenset(doing[:1])) if doing else None
    if trail[:1] in (["token"], ["tokens"]):
        return Part(frozenset({Role.NOW}), frozenset({About.TOKENS}))
    if trail[:1] in (["times"], ["changes"], ["state"]):
        return Part(frozenset({Role.CHANGE}), frozenset({About.STATE})) if "hour" in trail else None
    return Part(_score_roles(said), frozenset({About.SCORE})) if said.context.subject == About.SCORE else None


def _score_roles(said: Said) -> frozenset[Role]:
    relates = {*said.lead[-3:]} & (words.ABOVE | words.BELOW | words.LIMITS)
    near = [*said.lead[-3:], *(said.trail[:3] if relates else ())]
    for word, role in (("green", Role.GREEN), ("red", Role.RED), ("hysteresis", Role.SLACK), ("by", Role.SLACK)):
        if word in near:
            return frozenset({role})
    return frozenset({Role.GREEN, Role.RED} if relates else {Role.NOW})


def _duration(said: Said) -> Part | None:
    subject, lead, trail = said.context.subject, said.lead, said.trail
    if "dwell" in {*lead, *trail[:2]}:
        return Part(frozenset({Role.DWELL}), frozenset())
    if said.context.future:
        return Part(frozenset({Role.HORIZON}), frozenset())
    if trail[:1] == ["of"] and trail[1:2] and trail[1] in words.STATES:
        return Part(frozenset({Role.LASTED}), frozenset())
    if said.last in MOVING and subject is not None:
        return Part(frozenset({Role.MOVED}), frozenset({subject}))
    if said.last in UNTIL or {*lead} & UNTIL:
        return Part(frozenset({Role.LASTED}), frozenset())
    return None


def _clock(said: Said) -> Part | None:
    label = said.context.label(said.at)
    if label is not None:
        return Part(frozenset({Role(label)}), frozenset())
    if not said.context.future:
        return Part(frozenset({Role.NOW}), frozenset())
    between = said.last == "between" or (said.last == "and" and "between" in _sentence(said))
    return Part(frozenset({Role.P10, Role.P90} if between else {Role.P50}), frozenset())


def _sentence(said: Said) -> list[str]:
    """The words before, figures or not."""
    return [part.text for part in said.context.parts[: said.at] if not isinstance(part, Figure)]


def _date(said: Said) -> Part:
    return Part(frozenset({Role.P50, Role.P10, Role.P90} if said.context.future else {Role.NOW}), frozenset())


READINGS: Mapping[Unit, Callable[[Said], Part | None]] = MappingProxyType(
    {
        Unit.PRICE: _signal(About.PRICE),
        Unit.CARBON: _signal(About.CARBON),
        Unit.POWER: _power,
        Unit.PERCENT: _percent,
        Unit.BARE: _bare,
        Unit.DURATION: _duration,
        Unit.CLOCK: _clock,
        Unit.DATE: _date,
    }
)


def _equal(said: Said, known: Known) -> bool:
    """Whether the figure is the fact, rounded as it is written down; where it is called rough, by 5 % at most."""
    figure, fact = said.figure, known.value
    if isinstance(figure.value, str) or isinstance(fact, str):
        return str(figure.value).zfill(5) == str(fact).zfill(5)
    if figure.unit is Unit.DURATION or (figure.unit is Unit.BARE and known.about is not About.SCORE):
        return figure.value == fact
    if figure.unit is Unit.BARE and figure.decimals < FEWEST_SCORE_DECIMALS and figure.value != fact:
        return False
    hedged = bool(said.lead) and said.lead[-1] in HEDGES
    share = HEDGED_SHARE * abs(fact)
    rounding = 0.5 * figure.scale * 10.0**-figure.decimals
    room = share if hedged else min(rounding, share)
    return abs(figure.value - fact) <= room + 1e-9


def _goes_with(said: Said, fact: Known, known: Collection[Known]) -> bool:
    """Whether the words around the figure hold of the fact."""
    if fact.role in {Role.CRITICAL, Role.OPTIMAL}:
        relation = said.context.relation(said.at)
        now = _value(known, fact.about, Role.THEN if said.context.future else Role.NOW)
        return relation is None or (now is not None and relation.holds(now, float(fact.value)))
    if fact.role is Role.CHANGE and fact.about is not About.STATE:
        now, before = _value(known, fact.about, Role.NOW), _value(known, fact.about, Role.BEFORE)
        return now is not None and before is not None and said.moves * (now - before) > 0
    if fact.unit is Unit.CLOCK and said.context.future:
        return fact.tomorrow == ("tomorrow" in {*said.lead[-2:], *said.trail[:1]})
    if fact.unit is Unit.BARE and fact.role in {Role.GREEN, Role.RED}:
        relation = said.context.relation(said.at)
        score = _value(known, About.SCORE, Role.NOW)
        said_of_it = relation is not None and {*said.lead[-2:]} & (words.ABOVE | words.BELOW)
        return not said_of_it or (
            score is not None and relation is not None and relation.holds(score, float(fact.value))
        )
    return True


def _value(known: Collection[Known], about: str, role: Role) -> float | None:
    return next(
        (
            float(one.value)
            for one in known
            if (one.about, one.role) == (about, role) and one.unit not in {Unit.PERCENT, Unit.CLOCK}
        ),
        None,
    )
