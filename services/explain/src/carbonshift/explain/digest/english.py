"""A digest in English, out of its sheet and out of nothing else. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType

from carbonshift.common.events import Issue, Pulse
from carbonshift.explain.digest.ahead import Ahead
from carbonshift.explain.digest.happened import Range
from carbonshift.explain.digest.saved import Saved
from carbonshift.explain.digest.sheet import DigestSheet
from carbonshift.explain.figures import grouped

__all__ = ["REASONS", "English"]

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "price_critical": "the price was past its limit",
        "carbon_critical": "the carbon intensity was past its limit",
        "price_above_optimal": "the price was too high for GREEN",
        "carbon_above_optimal": "the carbon intensity was too high for GREEN",
        "score_high": "price and carbon together stood high",
        "score_middle": "price and carbon together stood neither high nor low",
        "score_low": "price and carbon together stood low",
        "hysteresis": "hysteresis kept it",
        "dwell": "the dwell kept it",
        "price_missing": "the price was missing",
        "carbon_missing": "the carbon intensity was missing",
        "tick_flagged": "the signals could not be trusted",
        "warming_up": "there was too little history for a score",
        "signal_flat": "price or carbon stood still for the whole trailing window",
        "signal_held": "a value was still the last one known",
        "outside_window": "it lay outside the hours of the policy",
        "within_window": "it lay within the hours of the policy",
        "always": "the policy is always so",
        Issue.PRICE_STALE: "the last price was too old",
        Issue.PRICE_FLAT: "the price stood still for too long",
        Issue.PRICE_ZERO: "the price was exactly zero while the power was far from clean",
        Issue.PRICE_OUT_OF_RANGE: "the price was beyond any market's range",
        Issue.PRICE_UNIT_JUMP: "the price jumped as if its unit had changed",
        Issue.PRICE_DISPUTED: "two sources contradicted each other about the price",
        Issue.CARBON_STALE: "the last carbon intensity was too old",
        Issue.CARBON_FLAT: "the carbon intensity stood still for too long",
        Issue.CARBON_ZERO: "the carbon intensity was exactly zero",
        Issue.CARBON_OUT_OF_RANGE: "the carbon intensity was beyond any grid's range",
        Issue.CARBON_UNIT_JUMP: "the carbon intensity jumped as if its unit had changed",
        Issue.CARBON_DISPUTED: "two sources contradicted each other about the carbon intensity",
        Issue.SIGNALS_DISAGREE: "price and carbon contradicted each other",
        "other": "for a reason of the policy's own",
    }
)
"""Why a stretch of RED began; any other reason is shown as it stands."""


class English:
    """Four short paragraphs: what happened, what it saved, what was missed, what comes."""

    def digest(self, sheet: DigestSheet) -> str:
        """The paragraphs, with an empty line between them; without metered energy nothing of savings."""
        saved = (_saved(sheet), _missed(sheet)) if sheet.drawn else ("No energy was metered.", _missed(sheet))
        paragraphs = (_happened(sheet), *saved, _ahead(sheet))
        return "\n\n".join(" ".join(sentences) for sentences in map(_listed, paragraphs) if sentences)


def _listed(sentences: str | Iterator[str]) -> list[str]:
    return [sentences] if isinstance(sentences, str) else list(sentences)


def _happened(sheet: DigestSheet) -> Iterator[str]:
    told, when = sheet.happened, f"on {sheet.day}" if sheet.day else f"from {sheet.start} to {sheet.end}"
    states = ", ".join(f"{state} {told.lasted[state]}" for state in Pulse if state in told.lasted)
    changes = "no change" if told.changes == 0 else _count(told.changes, "change")
    yield f"{sheet.region} {when} ({sheet.zone}): {f'{states}; {changes}' if states else 'no state is known'}."
    if states and told.known:
        yield f"Of {told.length} the state is known for {told.known}."
    if red := told.longest_red:
        why = f": {REASONS.get(red.reason, f'reason {red.reason}')}" if red.reason else ""
        lasted = "took up" if red.since or red.goes_on else "lasted"
        since = f" (RED since {red.since})" if red.since else ""
        still = " (RED still)" if red.goes_on else ""
        yield f"The longest RED {lasted} {red.lasted}, from {red.start}{since} to {red.end}{still}{why}."
    yield from _signals(sheet)
    yield from _lacks(sheet)
    yield from _work(sheet)


def _signals(sheet: DigestSheet) -> Iterator[str]:
    told = sheet.happened
    parts = []
    if told.price:
        parts.append(f"price {_range(told.price, _dollars, '/MWh')}")
    if told.carbon:
        parts.append(f"carbon ({told.carbon_basis}) {_range(told.carbon, grouped, ' g/kWh')}")
    if parts:
        yield _sentence("; ".join(parts))


def _lacks(sheet: DigestSheet) -> Iterator[str]:
    told = sheet.happened
    lacks = []
    if told.valueless:
        lacks.append(f"{_count(told.valueless, 'interval')} had no price or no carbon intensity to trust")
    if told.flagged:
        lacks.append(f"{_count(told.flagged, 'interval')} {'was' if told.flagged == 1 else 'were'} flagged")
    if told.silent:
        lacks.append(f"for {told.silent} no tick came")
    if lacks:
        yield _sentence("; ".join(lacks))


def _work(sheet: DigestSheet) -> Iterator[str]:
    told = sheet.happened
    if told.pauses or told.resumes:
        paused = _jobs(told.jobs_paused, told.pauses, "paused")
        yield f"{paused}; {_jobs(told.jobs_resumed, told.resumes, 'resumed').lower()}."
    if told.refused:
        yield f"Drivers refused {_count(told.refused, 'cap')}."
    if told.expired:
        yield f"{_count(told.expired, 'lease')} ran out."
    if drawn := sheet.drawn:
        mixed = ", mixed" if len(drawn.bases) > 1 else ""
        parked = f", {grouped(drawn.parked_kwh)} kWh of it while training waited" if drawn.parked_kwh else ""
        yield f"The boards drew {grouped(drawn.energy_kwh)} kWh ({_and(drawn.bases)}{mixed}){parked}."
    if told.impossible:
        are = "is" if told.impossible == 1 else "are"
        yield f"{_count(told.impossible, 'account')} told of more energy than a board can draw and {are} in no sum."


def _saved(sheet: DigestSheet) -> Iterator[str]:
    cost, carbon = sheet.cost, sheet.carbon
    if cost is None and carbon is None and sheet.drawn and not sheet.drawn.energy_kwh:
        yield "Nothing was drawn, so nothing can be said of savings."
        return
    if cost is None and carbon is None:
        yield "What was drawn has neither a price nor a carbon intensity, so nothing can be said of savings."
        return
    yield "Modelled, beside the same energy drawn evenly over the same time, as under a static cap:"
    yield f"{_verdict('it cost', cost, _dollars) if cost else 'nothing drawn has a price'};"
    yield f"{_verdict('it emitted', carbon, _kilograms) if carbon else 'nothing drawn has a carbon intensity'}."
    if cost and cost.left_out_kwh:
        yield f"{grouped(cost.left_out_kwh)} kWh without a price are in no sum."
    if carbon and carbon.left_out_kwh:
        yield f"{grouped(carbon.left_out_kwh)} kWh without a carbon intensity of this basis are in no sum."


def _verdict(verb: str, saved: Saved, shown: Callable[[float], str]) -> str:
    share = f" ({grouped(saved.percent)} %)" if saved.percent else ""
    if saved.saved > 0:
        return f"{verb} {shown(saved.drawn)} instead of {shown(saved.even)}, {shown(saved.saved)}{share} less"
    if saved.saved < 0:
        return f"{verb} {shown(saved.drawn)} instead of {shown(saved.even)}, {shown(-saved.saved)}{share} more"
    return f"{verb} {shown(saved.drawn)}, as much as that"


def _missed(sheet: DigestSheet) -> Iterator[str]:
    told = [(saved, shown) for saved, shown in ((sheet.cost, _dollars), (sheet.carbon, _kilograms)) if saved]
    if told:
        best, missed = (
            _and([shown(one(saved)) for saved, shown in told]) for one in (attrgetter("best"), attrgetter("missed"))
        )
        yield f"With perfect foresight it would have been {best}: missed {missed}."
    hours = []
    if sheet.cost and (window := sheet.cost.hours):
        hours.append(f"cheapest was {window.start} to {window.end}, at {_dollars(window.mean)}/MWh")
    if sheet.carbon and (window := sheet.carbon.hours):
        hours.append(f"cleanest was {window.start} to {window.end}, at {grouped(window.mean)} g/kWh")
    if hours:
        yield _sentence("; ".join(hours))
    if sheet.green_idle:
        yield f"In {sheet.green_idle} of GREEN no job is known to have run."
    if Pulse.UNKNOWN in sheet.happened.lasted:
        yield f"For {sheet.happened.lasted[Pulse.UNKNOWN]} the signals could not be trusted."


def _ahead(sheet: DigestSheet) -> Iterator[str]:
    ahead, title = sheet.ahead, "Tomorrow" if sheet.day else "Ahead"
    if ahead is None:
        yield f"{title}: there is no forecast."
        return
    parts = []
    if ahead.price:
        parts.append(f"price {_range(ahead.price, _dollars, '/MWh')}")
    if ahead.carbon:
        parts.append(f"carbon ({ahead.carbon_basis}) {_range(ahead.carbon, grouped, ' g/kWh')}")
    yield f"{title}, expected over {ahead.reach}: {'; '.join(parts)}."
    yield from _outlook(ahead)


def _outlook(ahead: Ahead) -> Iterator[str]:
    if window := ahead.window:
        known = window.p10 == window.p50 == window.p90
        spread = "" if known else f" (p10 to p90: {_dollars(window.p10)} to {_dollars(window.p90)})"
        yield f"Best for work is {window.start} to {window.end}, at {_dollars(window.p50)}/MWh{spread}."
    if (spike := ahead.spike) and spike.percent:
        above = f"{_dollars(spike.threshold_usd_per_mwh)}/MWh"
        yield f"A price above {above} is likeliest at {spike.at}: {grouped(spike.percent)} %."
    if ahead.published:
        yield f"For {ahead.published} the price is published, not forecast."
    if ahead.degraded:
        yield "The history was too short for a model, so these are no more than past moves: do not lean on them."


def _range(told: Range, shown: Callable[[float], str], unit: str) -> str:
    if told.low == told.high:
        return f"{shown(told.low)}{unit} throughout"
    return f"from {shown(told.low)} ({told.low_at}) to {shown(told.high)}{unit} ({told.high_at})"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _dollars(value: float) -> str:
    return f"-${grouped(-value)}" if value < 0 else f"${grouped(value)}"


def _kilograms(value: float) -> str:
    return f"{grouped(value)} kg"


def _count(number: int, noun: str) -> str:
    return f"{grouped(number)} {noun}" if number == 1 else f"{grouped(number)} {noun}s"


def _jobs(jobs: int, times: int, done: str) -> str:
    """As in: 3 jobs were paused, 7 times in all."""
    if jobs == 0:
        return f"No job was {done}"
    if jobs == 1:
        return f"1 job was {done} {_times(times)}"
    return f"{grouped(jobs)} jobs were {done}, {'once each' if times == jobs else f'{_times(times)} in all'}"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{grouped(number)} times")


def _and(words: Sequence[str]) -> str:
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)
