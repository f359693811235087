"""A transition told in English."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from carbonshift.common.events import Fuel, Issue, Pulse
from carbonshift.explain.expected import Lack
from carbonshift.explain.facts import FactSheet, FleetFacts, Next, Signal
from carbonshift.explain.figures import duration, grouped

__all__ = ["WHAT_TO_DO", "English", "said_of_doubts", "spoken"]


class English:
    """For people who read it once, on a phone, in the night."""

    def narrate(self, sheet: FactSheet) -> str:
        """What changed and why, what it means for training and the fleet, and what comes next."""
        sentences = (
            f"{_opening(sheet)}: {_because(sheet)}",
            *_training(sheet),
            *_fuels(sheet),
            *_fleet(sheet),
            *_flapping(sheet),
            *_coming(sheet),
            *_to_do(sheet),
        )
        return "".join(f"{sentence}. " for sentence in sentences).strip()


def _opening(sheet: FactSheet) -> str:
    at = f"at {sheet.since} {sheet.zone}"
    if sheet.previous is None:
        return f"{sheet.state} {at}, the first state of this region"
    lasted = f"{sheet.previous_lasted} of " if sheet.previous_lasted else ""
    if not sheet.run and sheet.ran:
        return f"Training paused {at} ({sheet.state} after {lasted}{sheet.previous})"
    if sheet.run and sheet.ran is False:
        return f"Training resumed {at} ({sheet.state} after {lasted}{sheet.previous})"
    return f"{sheet.state} {at} after {lasted}{sheet.previous}"


def _because(sheet: FactSheet) -> str:
    """The reasons in their order, those of one signal in one clause; then what else is known."""
    clauses: list[str] = []
    told = set()
    for reason in sheet.reasons:
        about = ABOUT.get(reason, reason)
        if about not in told:
            told.add(about)
            clauses.extend(SAYING[about](sheet) if about in SAYING else (f"reason {reason}",))
    doubted = {"price": sheet.price.doubted, "carbon": sheet.carbon.doubted}
    context = [
        clause for about in CONTEXT if about not in told and not doubted[about] for clause in SAYING[about](sheet)
    ]
    why, meanwhile = "; ".join(clauses), " and ".join(context)
    return f"{why}, while {meanwhile}" if why and meanwhile else why or meanwhile


def said_of_doubts(sheet: FactSheet) -> str:
    """The clauses of all reasons that are about more than how high a signal is."""
    reasons = dict.fromkeys(ABOUT.get(reason, reason) for reason in sheet.reasons)
    return " ".join(
        " ".join(SAYING[about](sheet)) if about in SAYING else about
        for about in reasons
        if about not in {"price", "carbon", "score"}
    )


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
            _limit(sheet.carbon, sheet.limits.get(name), _intensity, known, unknown)
            for reason, name, known, unknown in (
                ("carbon_critical", "critical_carbon_g_per_kwh", "limit", "past its limit"),
                ("carbon_above_optimal", "optimal_carbon_g_per_kwh", "that GREEN allows", "too high for GREEN"),
            )
            if reason in sheet.reasons
        )
    )


def _intensity(value: float) -> str:
    return f"{grouped(value)} g/kWh"


def _score(sheet: FactSheet) -> Iterator[str]:
    bounds = [
        f", {state} {side} {sheet.limits[name]:.2f}"
        for name, state, side in (("green_score", "GREEN", "up to"), ("red_score", "RED", "from"))
        if name in sheet.limits
    ]
    if sheet.score is None:
        yield f"the score is unknown{''.join(bounds)}"
        return
    before = sheet.score_before
    moved = (
        ""
        if before is None or before == sheet.score
        else f", {'up' if sheet.score > before else 'down'} from {before:.2f}"
    )
    yield f"price and carbon together score {sheet.score:.2f}{moved}{''.join(bounds)}"


def _hysteresis(sheet: FactSheet) -> Iterator[str]:
    slack = sheet.limits.get("hysteresis_score")
    yield "kept by hysteresis" + ("" if slack is None else f", which asks the score to come back by {slack:.2f}")


def _dwell(sheet: FactSheet) -> Iterator[str]:
    yield "kept by the dwell" + ("" if sheet.dwell is None else f" of {sheet.dwell}")


def _flagged(sheet: FactSheet) -> Iterator[str]:
    doubts = [DOUBTS[reason] for reason in sheet.reasons if reason in DOUBTS]
    yield from doubts or ("the tick is flagged as doubtful",)


def _plain(clause: str, _: FactSheet) -> Iterator[str]:
    yield clause


PLAIN_CLAUSES: Mapping[str, str] = MappingProxyType(
    {
        "warming_up": "there is too little history for a score yet",
        "signal_held": "a value is still the last one known, which is too little for GREEN",
        "signal_flat": "price or carbon has stood still for the whole trailing window",
        "always": "the policy in force is one for every price and carbon intensity",
        "within_window": "the hour lies within the window of the policy",
        "outside_window": "the hour lies outside of the window of the policy",
    }
)
"""Reasons without a figure."""
LACKS: Mapping[Lack, str] = MappingProxyType(
    {
        Lack.DEGRADED: "The forecast is degraded: what comes next is open",
        Lack.OPEN: "What comes next is open: it hangs on more than price and carbon",
    }
)
DOUBTS: Mapping[str, str] = MappingProxyType(
    {
        Issue.PRICE_STALE: "the last price is too old",
        Issue.PRICE_FLAT: "the price has stood still for too long",
        Issue.PRICE_ZERO: "the price is exactly zero while the power is far from clean",
        Issue.PRICE_OUT_OF_RANGE: "the price is beyond any market's range",
        Issue.PRICE_UNIT_JUMP: "the price has jumped as if its unit had changed",
        Issue.PRICE_DISPUTED: "two sources contradict each other about the price",
        Issue.CARBON_STALE: "the last carbon intensity is too old",
        Issue.CARBON_FLAT: "the carbon intensity has stood still for too long",
        Issue.CARBON_ZERO: "the carbon intensity is exactly zero, which is hard to believe",
        Issue.CARBON_OUT_OF_RANGE: "the carbon intensity is beyond any grid's range",
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
        **{reason: partial(_plain, clause) for reason, clause in PLAIN_CLAUSES.items()},
    }
)
WHAT_TO_DO: Mapping[str, str] = MappingProxyType(
    {
        "price_missing": "Check the price source",
        "carbon_missing": "Check the carbon source",
        "tick_flagged": "See the integrity codes of the tick",
        "signal_flat": "Look for a stuck source",
    }
)
"""Where a person can help."""


def _moved(signal: Signal, shown: Callable[[float], str], unit: str) -> str:
    value = signal.value or 0.0
    if signal.before is None:
        return f"{'stayed at' if signal.steady else 'was'} {shown(value)}{unit}"
    verb = "rose" if value > signal.before else "fell"
    return f"{verb} from {shown(signal.before)} to {shown(value)}{unit} in {signal.moved_within}"


def _limit(signal: Signal, limit: float | None, shown: Callable[[float], str], known: str, unknown: str) -> str:
    if limit is None or signal.value is None:
        return f", {unknown}"
    where = "above" if signal.value > limit else "below" if signal.value < limit else "at"
    return f", {where} the {shown(limit)} {known}"


def _dollars(value: float) -> str:
    return f"-${grouped(-value)}" if value < 0 else f"${grouped(value)}"


def _training(sheet: FactSheet) -> Iterator[str]:
    if not sheet.run:
        if not sheet.ran:
            yield "Training stays paused" if sheet.previous else "Training is paused"
        return
    watts = f"{grouped(sheet.power_limit_w)} W on the reference board"
    verb = "runs on" if sheet.ran else "runs" if sheet.previous else "may run"
    if sheet.state is not Pulse.UNKNOWN:
        yield f"Training {verb} at up to {watts}"
    elif sheet.previous:
        yield f"Training {verb} at up to {watts}, as before"
    else:
        yield f"Training {verb} at no more than the safe {watts}"


def _fuels(sheet: FactSheet) -> Iterator[str]:
    moves = [
        f"{spoken(shift.fuel)} {'rose' if shift.now_percent > shift.before_percent else 'fell'}"
        f" from {shift.before_percent} % to {shift.now_percent} % in {duration(shift.within)}"
        for shift in sheet.fuels
    ]
    if moves:
        yield f"Of the supply, {', '.join(moves)}"


def spoken(fuel: Fuel) -> str:
    """The name of a fuel in a sentence."""
    return fuel.value.replace("_", " ")


def _fleet(sheet: FactSheet) -> Iterator[str]:
    if sheet.fleet:
        yield "; ".join((_watts(sheet.fleet), *_jobs(sheet.fleet)))


def _watts(fleet: FleetFacts) -> str:
    if fleet.change_w == 0:
        return f"The fleet still draws {grouped(fleet.now_w)} W ({fleet.basis})"
    verb = "rose" if fleet.now_w > fleet.before_w else "fell"
    return f"The fleet's draw {verb} from {grouped(fleet.before_w)} W to {grouped(fleet.now_w)} W ({fleet.basis})"


def _jobs(fleet: FleetFacts) -> Iterator[str]:
    for count, verb in ((fleet.paused, "paused"), (fleet.resumed, "resumed")):
        if count:
            yield f"{count} job{'s' if count > 1 else ''} {verb}"
    if fleet.tokens:
        yield f"{fleet.tokens} token{'s' if fleet.tokens > 1 else ''} for {grouped(fleet.tokens_w)} W handed out so far"


def _flapping(sheet: FactSheet) -> Iterator[str]:
    if sheet.changes_last_hour:
        yield f"The state has changed {sheet.changes_last_hour} times within the last hour"


def _coming(sheet: FactSheet) -> Iterator[str]:
    coming = sheet.next
    if sheet.state is Pulse.UNKNOWN:
        yield "This lasts until the signals can be trusted again"
    elif coming is None:
        yield "There is no forecast of what comes next"
    elif coming.lack is not None:
        yield LACKS[coming.lack]
    elif coming.state is None or coming.price_usd_per_mwh is None:
        yield f"The forecast sees no change within {coming.horizon} (p50)"
    else:
        what = "Expected back" if not sheet.run and coming.state in RUNNING else f"Expected to turn {coming.state}"
        yield f"{what} around {coming.p50} ({_quantiles(coming)}) at {_dollars(coming.price_usd_per_mwh)}/MWh"


def _quantiles(coming: Next) -> str:
    sides = ", ".join(f"{moment} at {name}" for name, moment in (("p10", coming.p10), ("p90", coming.p90)) if moment)
    return f"p50; {sides}" if sides else "p50"


def _to_do(sheet: FactSheet) -> Iterator[str]:
    for reason in dict.fromkeys(sheet.reasons):
        if reason in WHAT_TO_DO:
            yield WHAT_TO_DO[reason]


RUNNING = frozenset({Pulse.GREEN, Pulse.AMBER})
