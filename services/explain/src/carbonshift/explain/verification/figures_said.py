"""Whether a figure in a text is the fact that the words around it make it out to be. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from carbonshift.explain.verification import words
from carbonshift.explain.verification.context import Context, Relation
from carbonshift.explain.verification.known import About, Known, Role
from carbonshift.explain.verification.reading import Figure, Unit

__all__ = ["refuted"]

HEDGES = frozenset({"about", "around", "roughly", "approximately", "some", "nearly", "almost"})
HEDGED_SHARE = 0.05
FEWEST_SCORE_DECIMALS = 2
PAST = frozenset({"before", "earlier", "previously", "had", "former"})
UNTIL = frozenset({"for", "after", "following", "lasted", "lasting", "stretch", "spell"})
NO_FLEET = frozenset({"each", "every", "grid", "board", "boards", "gpu", "gpus"})
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
        """1 where the words around speak of a rise, -1 of a fall, 0 of neither or of both."""
        near = {*self.lead, *self.trail[:1]}
        return bool(near & (UPWARD | {"more", "above"})) - bool(near & (DOWNWARD | {"less", "below"}))

    @property
    def compares(self) -> bool:
        """`287 W more than before`, `a decrease of 287 W`."""
        return bool({*self.trail[:1]} & {"more", "less", "above", "below", "higher", "lower"}) or (
            self.lead[-1:] == ["of"] and bool({*self.lead[-3:]} & {"increase", "decrease", "rise", "fall", "drop"})
        )

    @property
    def is_limit(self) -> bool:
        """Whether the words around speak of a limit rather than of what is held against it."""
        lead, trail = {*self.near[-4:]}, self.trail
        return bool(
            lead
            & (words.ABOVE | words.BELOW | words.LIMITS | {"between", "against", "inside", "allows", "permits", "than"})
            or {*trail[:2]} & (words.LIMITS | {"mark"})
            or trail[:2]
            in (
                ["that", "green"],
                ["that", "red"],
                ["for", "green"],
                ["for", "red"],
                ["of", "green"],
                ["of", "red"],
                ["green", "allows"],
            )
            or trail[:2] == ["that", "means"]
            or trail[:3] == ["from", "which", "the"]
            or self.lead[-2:-1] == ["within"]
        )

    @property
    def near(self) -> list[str]:
        """The words before, back to what they are said of."""
        named = [at for at, word in enumerate(self.lead) if word in words.SUBJECTS]
        return self.lead[named[-1] + 1 :] if named else self.lead

    @property
    def limit_roles(self) -> frozenset[Role]:
        """Which limits may be meant."""
        green = "green" in {*self.near[-4:], *self.trail[:3]}
        return frozenset({Role.OPTIMAL} if green else {Role.CRITICAL, Role.OPTIMAL})

    @property
    def figure_before(self) -> "Said | None":
        """The figure that stands right before the words before this one."""
        at = self.at - len(self.lead) - 1
        figure = self.context.parts[at] if at >= 0 else None
        if not isinstance(figure, Figure):
            return None
        return Said(figure, self.context, at, self.context.lead(at), self.context.trail(at))


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
        roles, subjects = _value_roles(said), said.context.subjects
        other = About.CARBON if about is About.PRICE else About.PRICE
        foretold = said.context.future and not subjects & words.SIGNALS
        listed = said.trail == ["and"] or said.lead == ["and"]  # `above the $30/MWh and 278 g/kWh that GREEN allows`
        limit = roles <= {Role.CRITICAL, Role.OPTIMAL}
        told_by_unit = foretold or (limit and (listed or other not in subjects))
        if subjects - {about, About.TRAINING, "jobs"} and about not in subjects and not told_by_unit:
            return None
        return Part(roles, frozenset({about}))

    return reading


def _value_roles(said: Said) -> frozenset[Role]:
    first = said.figure_before if said.lead == ["and"] else None
    if first is not None and first.is_limit:  # `above the $68/MWh and 323 g/kWh that GREEN allows`
        return first.limit_roles
    if said.is_limit:
        return said.limit_roles
    if said.last == "by" or {*said.trail[:1]} & {"more", "less"}:
        return frozenset({Role.CHANGE})
    if said.last in {"from", "after"}:
        return frozenset({Role.NOW if said.context.future else Role.BEFORE})
    earlier = PAST & {*said.lead[-2:], *said.trail[:1]}
    return frozenset({Role.THEN if said.context.future else Role.BEFORE if earlier else Role.NOW})


def _power(said: Said) -> Part | None:
    subjects, near = said.context.subjects, {*said.lead[-3:], *said.trail[:1]}
    if subjects == {About.TOKENS}:
        return Part(frozenset({Role.NOW}), frozenset({About.TOKENS}))
    of_one = About.FLEET in subjects and {*said.context.sentence(said.at)[-6:]} & NO_FLEET
    if of_one or subjects - {About.FLEET, "jobs", About.TRAINING}:
        return None
    if said.last in {"by", "up", "down"} or near & {"shed", "sheds", "shedding"} or said.compares:
        return Part(frozenset({Role.CHANGE}), frozenset({About.FLEET}))
    if said.last in {"from", "after", "drew", "instead"} or PAST & near or said.lead[-2:] == ["instead", "of"]:
        return Part(frozenset({Role.BEFORE}), frozenset({About.FLEET}))
    if About.FLEET in subjects:
        return Part(frozenset({Role.NOW}), frozenset({About.FLEET}))
    limit = "jobs" not in subjects or said.lead[-2:] == ["up", "to"] or near & {"limit", "cap", "capped"}
    return Part(frozenset({Role.NOW}), frozenset({About.TRAINING} if limit else {About.TRAINING, About.FLEET}))


def _percent(said: Said) -> Part | None:
    subjects = said.context.subjects
    if not subjects or subjects & {About.SCORE, About.TRAINING, About.FLEET, About.TOKENS, "jobs"}:
        return None
    if subjects & {About.PRICE, About.CARBON}:
        return Part(frozenset({Role.CHANGE}), subjects)
    if said.trail[:1] == ["of"] and "supply" not in said.trail[:3]:
        return None
    return Part(frozenset({Role.BEFORE if said.last == "from" else Role.NOW}), subjects)


def _bare(said: Said) -> Part | None:
    trail, near = said.trail, {*said.lead[-4:], *said.trail[:5]}
    if {"job", "jobs"} & {*trail[:2]}:
        doing = [about for about, so in ((About.PAUSED, words.STOPS), (About.RESUMED, words.RUNS)) if near & so]
        return Part(frozenset({Role.NOW}), frozenset(doing[:1])) if doing else None
    if trail[:1] in (["token"], ["tokens"]):
        return Part(frozenset({Role.NOW}), frozenset({About.TOKENS}))
    if trail[:1] in (["times"], ["changes"], ["state"]):
        if said.context.subjects & (words.SIGNALS | {About.FLEET, About.TRAINING, "jobs"}):
            return None
        return Part(frozenset({Role.CHANGE}), frozenset({About.STATE})) if "hour" in trail else None
    in_score = About.SCORE in said.context.subjects or "score" in said.context.sentence(said.at)
    return Part(_score_roles(said), frozenset({About.SCORE})) if in_score else None


def _score_roles(said: Said) -> frozenset[Role]:
    lead, trail = [word for word in said.lead if word not in HEDGES], said.trail
    if "hysteresis" in {*lead, *trail[:3]} or said.last == "by":
        return frozenset({Role.SLACK})
    first = said.figure_before if lead[:1] == ["and"] or lead == ["and"] else None
    if lead[-2:] == ["up", "to"] and "green" in lead:  # `GREEN goes up to 0.35`
        return frozenset({Role.GREEN})
    if lead[-1:] == ["between"]:
        return frozenset({Role.GREEN})
    if lead == ["and"] and first is not None and first.lead[-1:] == ["between"]:
        return frozenset({Role.RED})
    if said.is_limit or (first is not None and "between" in first.lead) or {*lead[-3:]} & {"green", "red"}:
        near = {*lead[-3:], *trail[:6]}
        named = frozenset(role for word, role in (("green", Role.GREEN), ("red", Role.RED)) if word in near)
        return named or frozenset({Role.GREEN, Role.RED})
    return frozenset({Role.BEFORE if said.last == "from" or PAST & {*lead[-2:], *trail[:1]} else Role.NOW})


def _duration(said: Said) -> Part | None:
    lead, trail = said.lead, said.trail
    if "dwell" in {*lead, *trail[:2]}:
        return Part(frozenset({Role.DWELL}), frozenset())
    if said.context.future:
        return Part(frozenset({Role.HORIZON}), frozenset())
    past_state = {*lead[-3:], *trail[:3]} & words.STATES.keys() and {*trail[:1]} & {"of", "in", "spell"}
    of_signal = said.context.subjects & words.SIGNALS
    if past_state or (not of_signal and (said.last in UNTIL or {*lead} & UNTIL)):
        return Part(frozenset({Role.LASTED}), frozenset())
    if said.last in MOVING:
        ahead = [words.SUBJECTS[word] for word in trail if word in words.SUBJECTS]
        begins = next((word for word in trail if word not in {"the", "average", "marginal"}), "") in words.SUBJECTS
        subjects = said.context.subjects if said.context.subjects and not begins else frozenset(ahead[:1])
        return Part(frozenset({Role.MOVED}), frozenset(subjects)) if subjects else None
    return None


def _clock(said: Said) -> Part | None:
    label, future = said.context.label(said.at), said.context.future
    if future and said.last in {"before", "after"}:
        return None
    if label is not None:
        first = said.figure_before
        of_price = label != Role.P50 and first is not None and first.figure.unit is Unit.PRICE  # that is p50's
        of_now = not future and said.context.subjects & words.SIGNALS  # `the price stays above $150 until 20:00 (p50)`
        return None if of_now or of_price else Part(frozenset({Role(label)}), frozenset())
    if not future:
        return Part(frozenset({Role.NOW}), frozenset())
    between = said.last == "between" or (said.last == "and" and "between" in said.context.sentence(said.at))
    return Part(frozenset({Role.P10, Role.P90} if between else {Role.P50}), frozenset())


def _date(said: Said) -> Part | None:
    """Of a time to come it is the day of that time."""
    if not said.context.future:
        return Part(frozenset({Role.NOW}), frozenset())
    clock = said.figure_before
    return _clock(clock) if clock is not None and clock.figure.unit is Unit.CLOCK else None


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
        first = said.figure_before if said.lead == ["and"] else None
        relation = said.context.relation(first.at if first else said.at)
        now = _value(known, fact.about, Role.THEN if said.context.future else Role.NOW)
        return relation is None or (now is not None and relation.holds(now, float(fact.value)))
    if fact.role is Role.CHANGE and fact.about is not About.STATE:
        now, before = _value(known, fact.about, Role.NOW), _value(known, fact.about, Role.BEFORE)
        return now is not None and before is not None and said.moves * (now - before) > 0
    if fact.unit is Unit.CLOCK:
        return fact.tomorrow == ("tomorrow" in {*said.lead[-2:], *said.trail[:1]})
    if fact.unit is Unit.BARE and fact.role in {Role.GREEN, Role.RED}:
        relation, score = said.context.relation(said.at), _value(known, About.SCORE, Role.NOW)
        if score is not None and "between" in said.lead:
            return score >= float(fact.value) if fact.role is Role.GREEN else score <= float(fact.value)
        return relation in {None, Relation.AT} or (score is not None and relation.holds(score, float(fact.value)))
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
