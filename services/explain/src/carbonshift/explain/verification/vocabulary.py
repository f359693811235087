"""Which words a text about one fact sheet may use. Pure."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import MappingProxyType

from carbonshift.common.events import CarbonBasis, Fuel, Pulse
from carbonshift.explain.facts import FactSheet
from carbonshift.explain.languages.english import WHAT_TO_DO, said_of_doubts, spoken
from carbonshift.explain.verification import words
from carbonshift.explain.verification.reading import Word, read

__all__ = ["WORDS", "Vocabulary", "names_of"]

CAUSES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "price": frozenset({"price"}),
        "carbon": frozenset({"carbon"}),
    }
)
PLAIN = (
    words.FREE
    | words.UP
    | words.DOWN
    | words.STEADY
    | words.ABOVE
    | words.BELOW
    | words.LIMITS
    | words.PAST
    | words.BECAUSE
    | words.STOPS
    | words.RUNS
    | words.SUBJECTS.keys()
    | words.STATES.keys()
    | {"name", "forecast", "will"}
)
BAD = ("_critical", "_above_optimal")
BASES = frozenset({"measured", "integrated", "estimated", "modelled", "mixed"})


def names_of(sheet: FactSheet) -> dict[str, str]:
    """The names that are no words of a sentence: of fuels, and of the region where it can be told from words."""
    names = {spoken(shift.fuel): shift.fuel.value for shift in sheet.fuels}
    names |= dict.fromkeys(_clocks(sheet), "name")
    region = sheet.region
    taken = WORDS | words.STATES.keys() | {fuel.value for fuel in Fuel}
    if region[:1].isalpha() and len(region) > 1 and region.lower() not in taken:
        names[region.lower()] = "name"
    return names


class Vocabulary:
    """Of one sheet."""

    def __init__(self, sheet: FactSheet) -> None:
        self._sheet = sheet

    @cached_property
    def fuels(self) -> frozenset[str]:
        """Those whose share has moved."""
        return frozenset(shift.fuel.value for shift in self._sheet.fuels)

    @cached_property
    def causes(self) -> frozenset[str]:
        """What the state was decided by: `price`, `carbon`, `score`; empty where the reasons do not tell."""
        found: set[str] = set()
        good = self._sheet.state is not Pulse.GREEN and any(code.endswith(BAD) for code in self._sheet.reasons)
        named = any(code.partition("_")[0] in CAUSES for code in self._sheet.reasons)
        for reason in self._sheet.reasons:
            if (reason == "score_low" and good) or (reason == "tick_flagged" and named):
                continue  # it speaks for GREEN, which another reason keeps off; or others say what the flags are
            signal = reason.partition("_")[0]
            found |= CAUSES.get(signal, frozenset({"price", "carbon", "score"}) if signal else frozenset())
        return frozenset(found)

    @cached_property
    def given_words(self) -> frozenset[str]:
        """The words for price, carbon and fuels."""
        return frozenset(word for word, of in words.SUBJECTS.items() if of in {"price", "carbon"}) | self.fuels

    @cached_property
    def grounds(self) -> frozenset[str]:
        """The words by which a reason can be named; those of signals are checked by themselves."""
        signals = {word for word, subject in words.SUBJECTS.items() if subject in words.SIGNALS}
        reasons = {word for word in words.NEEDS_REASON if self.unknown(word) is None}
        return frozenset(
            signals | reasons | self.fuels | (self.doubts - words.FREE) | {"signals", "readings", "signal", "reading"}
        )

    @cached_property
    def to_do(self) -> bool:
        """Whether there is something that a person can look at."""
        return _to_do(self._sheet)

    @cached_property
    def doubts(self) -> frozenset[str]:
        """The words that the template has for what speaks against the tick, and for any other reason."""
        return frozenset(part.text for part in read(said_of_doubts(self._sheet)) if isinstance(part, Word))

    def unknown(self, word: str) -> str | None:
        """Why `word` may not be used; None where it may."""
        if word in self.doubts:
            return None
        if word in words.NEEDS_REASON:
            backed = words.NEEDS_REASON[word] & {*self._sheet.reasons}
            return None if backed else f"{word}: none of the reasons says so"
        if word in words.NEEDS_FLEET:
            return None if self._sheet.fleet else f"{word}: nothing is known of the fleet"
        if word in GATES:
            return None if GATES[word](self._sheet) else f"{word}: that is not so"
        if word in PLAIN or word in self.fuels:
            return None
        return f"{word}: not one of the words that may be used"


def _clocks(sheet: FactSheet) -> set[str]:
    """The names of the clocks by which times are told."""
    moments = (sheet.next.p50, sheet.next.p10, sheet.next.p90) if sheet.next else ()
    told = {word for moment in moments if moment for word in moment.split()[1:] if word.isupper()}
    return {name.lower() for name in (sheet.zone, *told)}


def _forecast(sheet: FactSheet) -> bool:
    return sheet.next is not None


def _no_change_or_no_forecast(sheet: FactSheet) -> bool:
    return sheet.next is None or (sheet.next.state is None and sheet.next.lack is None)


def _open(sheet: FactSheet) -> bool:
    return sheet.next is not None and sheet.next.lack is not None


def _tomorrow(sheet: FactSheet) -> bool:
    moments = (sheet.next.p50, sheet.next.p10, sheet.next.p90) if sheet.next else ()
    return any(moment is not None and moment.endswith(" tomorrow") for moment in moments)


def _to_do(sheet: FactSheet) -> bool:
    return any(reason in WHAT_TO_DO for reason in sheet.reasons)


def _missing(sheet: FactSheet) -> bool:
    missing = {"price_missing", "carbon_missing"} & {*sheet.reasons}
    return bool(missing) or sheet.price.value is None or sheet.carbon.value is None


def _doubted(sheet: FactSheet) -> bool:
    return sheet.state is Pulse.UNKNOWN


def _throttled(sheet: FactSheet) -> bool:
    coming = sheet.next.state if sheet.next else None
    return Pulse.AMBER in {sheet.state, coming} or (sheet.run and sheet.state is Pulse.UNKNOWN)


def _basis(basis: str, sheet: FactSheet) -> bool:
    return sheet.fleet is not None and sheet.fleet.basis == basis


GATES: Mapping[str, Callable[[FactSheet], bool]] = MappingProxyType(
    {
        **dict.fromkeys(words.FUTURE - {"forecast", "will"}, _forecast),
        **dict.fromkeys(("p10", "p50", "p90"), _forecast),
        **{basis: partial(_basis, basis) for basis in BASES},
        **dict.fromkeys(("replay", "replayed", "recording", "recorded"), lambda sheet: sheet.replay is not None),
        **dict.fromkeys(words.TO_DO, _to_do),
        "stuck": lambda sheet: "signal_flat" in sheet.reasons,
        **dict.fromkeys(("missing", "lost", "unavailable"), _missing),
        "no": _no_change_or_no_forecast,
        **dict.fromkeys(("trust", "trusted"), _doubted),
        **dict.fromkeys(("throttle", "throttled"), _throttled),
        **dict.fromkeys(("share", "supply"), lambda sheet: bool(sheet.fuels)),
        "hour": lambda sheet: sheet.changes_last_hour is not None,
        "tomorrow": _tomorrow,
        **dict.fromkeys(("open", "degraded", "hangs"), _open),
        "first": lambda sheet: sheet.previous is None,
        "average": lambda sheet: sheet.carbon_basis is CarbonBasis.AVERAGE,
        "marginal": lambda sheet: sheet.carbon_basis is CarbonBasis.MARGINAL,
        "full": lambda sheet: sheet.state is Pulse.GREEN and sheet.run,
        "low": lambda sheet: (sheet.score or 1.0) <= sheet.limits.get("green_score", 0.0),
        "negative": lambda sheet: (sheet.price.value or 0.0) < 0,
    }
)
"""Words that are true of some sheets alone."""
WORDS = (PLAIN | GATES.keys() | words.NEEDS_REASON.keys() | words.NEEDS_FLEET) - words.STATES.keys() - {"name"}
"""All that a text may be made of, of one sheet or another."""
