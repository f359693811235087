"""Goes through a text from left to right and holds each word and figure against the facts. Pure."""

from collections.abc import Iterator

from carbonshift.common.events import Pulse
from carbonshift.explain.facts import FactSheet
from carbonshift.explain.verification import words
from carbonshift.explain.verification.context import Context, Relation
from carbonshift.explain.verification.figures_said import refuted
from carbonshift.explain.verification.known import About, Role, known_figures
from carbonshift.explain.verification.reading import Figure, Mark, Part, Unit, Word
from carbonshift.explain.verification.vocabulary import Vocabulary

__all__ = ["Reader"]

RUNNING = frozenset({Pulse.GREEN, Pulse.AMBER})
BEFORE_A_PAST_STATE = frozenset(
    {
        "of",
        "after",
        "from",
        "left",
        "leaves",
        "leaving",
        "previous",
        "ended",
        "where",
        "ending",
        "followed",
        "following",
        "closing",
        "out",
    }
)
EFFECT_BEFORE = frozenset({"because", "due", "owing", "thanks"})
EFFECT_BEHIND = frozenset(
    {"so", "hence", "thus", "therefore", "thereby", "pushed", "pushes", "pushing", "drove", "drives"}
) | {"driving", "sent", "sends", "sending", "forced", "forces", "forcing", "brought", "brings", "bringing", "triggered"}
PAST = frozenset({"had", "lasted", "ended", "before", "earlier", "previously"})
STILL = frozenset(
    {"until", "end", "ends", "last", "lasts", "leave", "leaves", "for", "stay", "remain", "keep", "continue"}
)
"""What is said of a state that is expected to hold on for some time."""
WENT = frozenset({"went", "goes", "gone", "going", "came", "comes", "moved", "moves"})
MARKS = frozenset(".,;:()/'\"-%")


class Reader:
    """Of one text and one sheet."""

    def __init__(self, sheet: FactSheet, parts: tuple[Part, ...]) -> None:
        self._sheet = sheet
        self._known = known_figures(sheet)
        self._vocabulary = Vocabulary(sheet)
        self._parts = parts
        self._context = Context(parts)

    def wrong(self) -> Iterator[str]:
        """What is said and is no fact."""
        for at, part in enumerate(self._parts):
            match part:
                case Figure():
                    yield from refuted(part, self._context, at, self._known)
                case Word():
                    yield from self._word(part, at)
                case Mark():
                    if part.text not in MARKS or (part.text == "-" and self._context.begins_clause(at)):
                        yield f"{part.text} stands where no mark belongs"
            self._context.pass_by(at, self._vocabulary.fuels)

    def missing(self) -> Iterator[str]:
        """What a reader needs and is not said."""
        said = {part.text for part in self._parts if isinstance(part, Word)}
        if self._sheet.state.value.lower() not in said:
            yield f"the state, {self._sheet.state}, is not named"
        if not any(
            isinstance(part, Figure) and part.unit is Unit.CLOCK and part.value == self._sheet.since
            for part in self._parts
        ):
            yield f"when it began, {self._sheet.since}, is not said"
        subjects = {words.SUBJECTS[word] for word in said if word in words.SUBJECTS}
        if (causes := self._vocabulary.causes) and not causes & subjects:
            yield f"why is not said: it is about {' and '.join(sorted(causes))}"

    def _word(self, word: Word, at: int) -> Iterator[str]:
        text = word.text
        if problem := self._vocabulary.unknown(text):
            yield problem
        elif text in words.STATES and not (text == "unknown" and word.shown == "unknown"):
            yield from self._state(words.STATES[text], at)
        elif not self._vocabulary.to_do and self._instructs(text, at):
            yield f"{word.shown} ... is an instruction"
        if text not in self._vocabulary.doubts:
            yield from self._direction(text, at)
        yield from self._doing(text, at)
        yield from self._cause(text, at)
        yield from self._bound(text, at)
        yield from self._label(text, at)
        yield from self._bare(text, at)
        yield from self._lasting(text, at)
        yield from self._reason(text)

    def _reason(self, text: str) -> Iterator[str]:
        """Whether what is said of one signal is a reason that the other one gives."""
        backed = words.NEEDS_REASON.get(text, frozenset()) & {*self._sheet.reasons}
        signals = {reason.partition("_")[0] for reason in backed}
        named = self._context.subjects & {"price", "carbon"}
        if backed and named and signals <= {"price", "carbon"} and not named & signals:
            yield f"{text}: that is so of {' and '.join(sorted(signals))}"

    def _instructs(self, text: str, at: int) -> bool:
        """Whether it tells the reader what to do."""
        if text == "should":
            return not self._context.subjects & words.SIGNALS
        return text in words.IMPERATIVE and self._context.opens(at)

    def _bare(self, text: str, at: int) -> Iterator[str]:
        """Words that are true beside certain others alone."""
        trail, lead = self._context.trail(at), self._context.lead(at)
        so = ["change"] if self._sheet.next else ["forecast"]
        if text == "no" and trail[:1] != so and trail[:2] != ["more", "than"]:
            yield "no: deny nothing"
        if text in {"throttle", "throttled"} and not (self._sheet.run or self._context.future):
            yield f"{text}: training is paused"
        if text == "hour" and lead[-1:] not in (["last"], ["past"]):
            yield "hour: which one is not clear"
        if text in {"change", "changes"} and self._context.expects(at) and self._calm and lead[-1:] != ["no"]:
            yield f"{text}: the forecast sees none"
        if text in words.ENDS and self._context.subjects & {About.TRAINING, "jobs"}:
            yield f"{text}: training does not end"
        if text in {"missing", "lost", "unavailable"}:
            values = {"price": self._sheet.price.value, "carbon": self._sheet.carbon.value}
            for subject in self._context.subjects & values.keys():
                if values[subject] is not None and f"{subject}_missing" not in self._sheet.reasons:
                    yield f"{text}: {subject} is known"

    @property
    def _calm(self) -> bool:
        """Whether the forecast sees no change."""
        return self._sheet.next is not None and self._sheet.next.state is None

    def _lasting(self, text: str, at: int) -> Iterator[str]:
        """Words that say for how long something is so."""
        if text == "trusted" and "until" not in self._context.sentence(at):
            yield "trusted: they are not yet"
        if text == "been" and {*self._context.trail(at)[:2]} & (words.ABOVE | words.BELOW):
            yield "been: since when is not known"

    def _state(self, said: Pulse, at: int) -> Iterator[str]:
        sheet, context = self._sheet, self._context
        coming = sheet.next.state if sheet.next else None
        if context.names_threshold(at):
            return
        if (
            context.follows_duration(at)
            or context.last_word(at) in BEFORE_A_PAST_STATE
            or {*context.trail(at)[:1]} & PAST
        ):
            allowed = {sheet.previous}
        elif context.expects(at):
            still = coming is None or {*context.lead(at), *context.trail(at)} & STILL
            allowed = {coming, sheet.state} if still else {coming}
        else:
            allowed = {sheet.state}
        if said not in allowed:
            yield f"{said} is not what the state {'is expected to be' if context.expects(at) else 'is there'}"

    def _direction(self, text: str, at: int) -> Iterator[str]:
        """Whether what is said to have risen has."""
        subjects, behind = self._context.subjects, self._context.trail(at)
        sign = self._sign(text, at)
        if sign:
            if not subjects:
                yield f"{text}: what did is not named"
            for subject in subjects:
                moved = self._moved(subject)
                if moved is None:
                    yield f"{text}: no such move of {subject} is known"
                elif moved * sign <= 0:
                    yield f"{text}: {subject} went the other way"
        elif text in words.STEADY and not {*behind[:2]} & (words.ABOVE | words.BELOW | {"within", "inside"}):
            for subject in subjects & (words.SIGNALS | self._vocabulary.fuels):
                signal = {"price": self._sheet.price, "carbon": self._sheet.carbon}.get(subject)
                if signal is None or not signal.steady:
                    yield f"{text}: {subject} is not known to have been steady"

    def _sign(self, text: str, at: int) -> int:
        """1 where it says that something rose, -1 that it fell, 0 where it does neither."""
        context = self._context
        behind = context.trail(at)
        if behind[:1] == ["than"]:  # with a limit, or with what was before
            if not {*behind[1:4]} & words.PAST or context.follows_figure(at):
                return 0
            return (text in {"more", "higher"}) - (text in {"less", "lower"})
        up = text == "up" and bool(behind[:1] == ["from"] or {*context.lead(at)[-1:]} & WENT)
        return (up or text in words.UP) - (text in words.DOWN)

    def _moved(self, subject: str) -> float | None:
        """By how much, with its sign; None where that is not known."""
        before, after = (Role.NOW, Role.THEN) if self._context.future else (Role.BEFORE, Role.NOW)
        about = About.FLEET if subject in {"jobs", About.TRAINING} else subject
        values = {
            known.role: float(known.value)
            for known in self._known
            if known.about == about
            and known.unit not in {Unit.CLOCK, Unit.DATE, Unit.DURATION}
            and known.role in {before, after}
        }
        return values[after] - values[before] if len(values) == len({before, after}) else None

    def _doing(self, text: str, at: int) -> Iterator[str]:
        """Whether training does what is said of it."""
        context, sheet, fleet = self._context, self._sheet, self._sheet.fleet
        if context.subjects - {About.TRAINING, "jobs", About.FLEET}:
            return
        coming = sheet.next.state if sheet.next and context.expects(at) else None
        jobs = bool(context.subjects & {"jobs"} and fleet)
        if text in words.STOPS:
            true = not sheet.run or coming is Pulse.RED or bool(jobs and fleet and fleet.paused)
        elif text in words.RUNS:
            true = sheet.run or coming in RUNNING or bool(jobs and fleet and fleet.resumed)
            if text in words.RESUMES and sheet.run and coming not in RUNNING:
                true = bool(fleet and fleet.resumed) if jobs else sheet.ran is False
        elif text == "back" and context.subjects & {About.TRAINING, "jobs"} and not context.future:
            true = sheet.run
        elif text == "back" and context.future:
            states = {words.STATES.get(word) for word in (*context.sentence(at), *context.trail(at))} - {None}
            true = (not sheet.run and coming in RUNNING) or coming in states
        else:
            return
        if not true:
            yield f"{text}: training {'runs' if sheet.run else 'is paused'}"

    def _cause(self, text: str, at: int) -> Iterator[str]:
        """Whether what is called the cause is one."""
        causes, context = self._vocabulary.causes, self._context
        given = words.SIGNALS - {About.SCORE} | self._vocabulary.fuels
        """What the grid gives: nothing here brings it about."""
        if text in EFFECT_BEFORE and context.subjects & given:
            yield f"{text}: nothing that is known brings {' and '.join(sorted(context.subjects & given))} about"
        behind = {*context.trail(at)[:4]}
        if text in EFFECT_BEHIND and behind & self._vocabulary.given_words and "score" not in behind:
            yield f"{text}: nothing that is known brings that about"
        if text in EFFECT_BEFORE | {"reason"} and self._names_fuel(at):
            yield f"{text}: a fuel is not the reason"
        brought = text in {"brought", "brings", "bringing"} and "about" in context.trail(at)[:3]
        if (brought or text in words.BECAUSE) and (others := context.subjects & words.SIGNALS - causes):
            yield f"{text}: {', '.join(sorted(others))} is not the cause"
        because = text in {"because", "due", "owing", "thanks"} or (
            text == "by" and {*context.lead(at)[-1:]} & words.BECAUSE
        )
        if because and not context.names_soon(at, self._vocabulary.grounds):
            yield f"{text}: what follows is not one of the reasons"
        subject = words.SUBJECTS.get(text)
        if self._vocabulary.causes and subject in words.SIGNALS - causes and context.called_cause(at):
            yield f"{text} is not the cause"

    def _names_fuel(self, at: int) -> bool:
        fuels = self._vocabulary.fuels
        return bool((self._context.subjects | {*self._context.trail(at)}) & fuels)

    def _bound(self, text: str, at: int) -> Iterator[str]:
        """`above its limit`, with no figure."""
        relation = self._context.relation(at)
        if text not in words.LIMITS or relation is None or self._context.figure_near(at):
            return
        limits = [
            known
            for known in self._known
            if known.role in {Role.CRITICAL, Role.OPTIMAL, Role.GREEN, Role.RED}
            and (not self._context.subjects or known.about in self._context.subjects)
        ]
        now = {
            known.about: float(known.value)
            for known in self._known
            if known.role is Role.NOW and known.about in words.SIGNALS
        }
        known_so = any(known.about in now and relation.holds(now[known.about], float(known.value)) for known in limits)
        codes = {f"{subject}_{code}" for subject in self._context.subjects for code in ("critical", "above_optimal")}
        if not known_so and not (relation is Relation.ABOVE and codes & {*self._sheet.reasons}):
            yield f"{relation} a {text}: that is not known"

    def _label(self, text: str, at: int) -> Iterator[str]:
        if text in {Role.P10, Role.P50, Role.P90} and at not in self._context.labels.values():
            yield f"{text} stands behind no figure of the forecast"
