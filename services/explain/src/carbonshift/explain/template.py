"""A transition told in two sentences out of its fact sheet, and out of nothing else. Pure."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from carbonshift.common.events import Issue, Pulse
from carbonshift.explain.facts import FactSheet, Signal
from carbonshift.explain.figures import grouped

__all__ = ["narrate"]


def narrate(sheet: FactSheet) -> str:
    """What changed and why; then what it means for training, and what to look at where a person can help."""
    return f"{_opening(sheet)}: {'; '.join(_because(sheet))}. {_consequence(sheet)}."


def _opening(sheet: FactSheet) -> str:
    opening = f"{sheet.state} since {sheet.since_utc} UTC"
    if sheet.previous is None:
        return f"{opening}, the first state of this region"
    if sheet.previous_lasted is None:
        return f"{opening}, after {sheet.previous}"
    return f"{opening}, after {sheet.previous_lasted} of {sheet.previous}"


def _because(sheet: FactSheet) -> Iterator[str]:
    """The reasons in their order, those of one signal in one clause; then what else is known."""
    told = set()
    for reason in (*sheet.reasons, *CONTEXT):
        about = ABOUT.get(reason, reason)
        if about not in told:
            told.add(about)
            yield from SAYING[about](sheet) if about in SAYING else (f"reason {reason}",)


def _price(sheet: FactSheet) -> Iterator[str]:
    if sheet.price.value is None or "price_missing" in sheet.reasons:
        yield "the price is missing"
        return
    yield (
        "price "
        + _moved(sheet.price, _dollars, "/MWh")
        + "".join(
            _limit(sheet.price, sheet.limits.get(name), _dollars, known, unknown)
            for reason, name, known, unknown in (
                ("price_critical", "critical_price_usd_per_mwh", "limit", "past its limit"),
                ("price_above_optimal", "optimal_price_usd_per_mwh", "that GREEN allows", "too high for GREEN"),
            )
            if reason in sheet.reasons
        )
    )


def _carbon(sheet: FactSheet) -> Iterator[str]:
    if sheet.carbon.value is None or "carbon_missing" in sheet.reasons:
        yield "the carbon intensity is missing"
        return
    yield (
        "carbon "
        + _moved(sheet.carbon, grouped, f" g/kWh ({sheet.carbon_basis})")
        + "".join(
            _limit(sheet.carbon, sheet.limits.get(name), grouped, known, unknown)
            for reason, name, known, unknown in (
                ("carbon_critical", "critical_carbon_g_per_kwh", "limit", "past its limit"),
                ("carbon_above_optimal", "optimal_carbon_g_per_kwh", "that GREEN allows", "too high for GREEN"),
            )
            if reason in sheet.reasons
        )
    )


def _score(sheet: FactSheet) -> Iterator[str]:
    bounds = [
        f", {state} {side} {sheet.limits[name]:.2f}"
        for name, state, side in (("green_score", "GREEN", "up to"), ("red_score", "RED", "from"))
        if name in sheet.limits
    ]
    score = "have no score" if sheet.score is None else f"score {sheet.score:.2f}"
    yield f"price and carbon together {score}{''.join(bounds)}"


def _hysteresis(sheet: FactSheet) -> Iterator[str]:
    slack = sheet.limits.get("hysteresis_score")
    yield "kept by hysteresis" + ("" if slack is None else f", which asks the score to come back by {slack:.2f}")


def _dwell(sheet: FactSheet) -> Iterator[str]:
    yield "kept by the dwell" + ("" if sheet.dwell is None else f" of {sheet.dwell}")


def _flagged(sheet: FactSheet) -> Iterator[str]:
    doubts = [DOUBTS[reason] for reason in sheet.reasons if reason in DOUBTS]
    yield from doubts or ("the tick is flagged as not to be trusted",)


def _warming_up(_: FactSheet) -> Iterator[str]:
    yield "there is too little history for a score yet"


def _held(_: FactSheet) -> Iterator[str]:
    yield "a value is still the last one known, on which GREEN does not begin"


def _flat(_: FactSheet) -> Iterator[str]:
    yield "price or carbon has stood still for the whole trailing window"


DOUBTS: Mapping[str, str] = MappingProxyType(
    {
        Issue.PRICE_STALE: "no price has come for too long",
        Issue.PRICE_FLAT: "the price stands still as no market does",
        Issue.PRICE_ZERO: "the price is exactly zero while the power is not clean",
        Issue.PRICE_OUT_OF_RANGE: "the price is one that no market has",
        Issue.PRICE_UNIT_JUMP: "the price has jumped as if its unit had changed",
        Issue.PRICE_DISPUTED: "two sources contradict each other about the price",
        Issue.CARBON_STALE: "no carbon intensity has come for too long",
        Issue.CARBON_FLAT: "the carbon intensity stands still as no grid does",
        Issue.CARBON_ZERO: "the carbon intensity is exactly zero and nothing explains it",
        Issue.CARBON_OUT_OF_RANGE: "the carbon intensity is one that no grid has",
        Issue.CARBON_UNIT_JUMP: "the carbon intensity has jumped as if its unit had changed",
        Issue.CARBON_DISPUTED: "two sources contradict each other about the carbon intensity",
        Issue.SIGNALS_DISAGREE: "price and carbon contradict each other",
    }
)
"""What speaks against a tick, in words; told where the reason is that the tick is flagged."""
CONTEXT = ("price", "carbon")
ABOUT: Mapping[str, str] = MappingProxyType(
    {
        "price_missing": "price",
        "price_critical": "price",
        "price_above_optimal": "price",
        "carbon_missing": "carbon",
        "carbon_critical": "carbon",
        "carbon_above_optimal": "carbon",
        "score_high": "score",
        "score_low": "score",
        "score_middle": "score",
        **dict.fromkeys(DOUBTS, "tick_flagged"),
    }
)
"""Reasons that share a clause; any other has one of its own."""
SAYING: Mapping[str, Callable[[FactSheet], Iterator[str]]] = MappingProxyType(
    {
        "price": _price,
        "carbon": _carbon,
        "score": _score,
        "hysteresis": _hysteresis,
        "dwell": _dwell,
        "tick_flagged": _flagged,
        "warming_up": _warming_up,
        "signal_flat": _flat,
        "signal_held": _held,
    }
)
WHAT_TO_DO: Mapping[str, str] = MappingProxyType(
    {
        "price_missing": "check the price source",
        "carbon_missing": "check the carbon source",
        "tick_flagged": "see the integrity codes of the tick",
        "signal_flat": "look for a stuck source",
    }
)
"""Where a person can help."""


def _moved(signal: Signal, shown: Callable[[float], str], unit: str) -> str:
    value = signal.value or 0.0
    if signal.before is None:
        return f"{shown(value)}{unit}"
    verb = "rose" if value > signal.before else "fell"
    return f"{verb} from {shown(signal.before)} to {shown(value)}{unit} in {signal.moved_within}"


def _limit(signal: Signal, limit: float | None, shown: Callable[[float], str], known: str, unknown: str) -> str:
    if limit is None or signal.value is None:
        return f", {unknown}"
    where = "above" if signal.value > limit else "below" if signal.value < limit else "at"
    return f", {where} the {shown(limit)} {known}"


def _dollars(value: float) -> str:
    return f"-${grouped(-value)}" if value < 0 else f"${grouped(value)}"


def _consequence(sheet: FactSheet) -> str:
    watts = f"{grouped(sheet.power_limit_w)} W on the reference board"
    to_do = "".join(f"; {WHAT_TO_DO[reason]}" for reason in dict.fromkeys(sheet.reasons) if reason in WHAT_TO_DO)
    if sheet.state is Pulse.UNKNOWN:
        held = "may run" if sheet.previous is None else "runs on"
        return (
            f"Training {held} at no more than the safe {watts}{to_do}" if sheet.run else f"Training stays paused{to_do}"
        )
    if not sheet.run:
        return f"Training {'pauses' if sheet.previous in {Pulse.GREEN, Pulse.AMBER} else 'is paused'}{to_do}"
    verb = {None: "may run", Pulse.RED: "resumes", Pulse.UNKNOWN: "may run"}.get(sheet.previous, "runs on")
    return f"Training {verb} at up to {watts}{to_do}"
