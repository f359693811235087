"""What happened in a span, as it is shown. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from re import fullmatch

from carbonshift.common.accounting import J_PER_KWH
from carbonshift.common.events import CarbonBasis, EnergyBasis, Pulse, WorkerEventKind
from carbonshift.explain.digest.heard import Heard, StateHeard, laid_out
from carbonshift.explain.digest.slots import Slot, prevailing_basis
from carbonshift.explain.digest.span import Span
from carbonshift.explain.figures import duration, rounded

__all__ = ["Drawn", "Happened", "Range", "Red", "drawn_in", "happened_in", "range_of"]

CODE = r"[a-z][a-z0-9_]{0,63}"
OTHER_REASON = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The lowest and the highest of a value, and when."""

    low: float
    low_at: str
    high: float
    high_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Red:
    """A stretch of RED, as far as it lies in the span."""

    start: str
    end: str
    lasted: str
    since: str | None
    """When RED began; None where that is `start`."""
    goes_on: bool
    """Whether it is known to have been RED still when the span was over."""
    reason: str | None
    """The weightiest code of its beginning; `other` where that is no code; None where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What the grid did, and the workers with it."""

    length: str
    """Of the span."""
    known: str | None
    """For how long there is a state; None where it is the whole span."""
    lasted: Mapping[Pulse, str]
    """Of each state that occurred, how long."""
    changes: int
    longest_red: Red | None
    price: Range | None
    """USD/MWh."""
    carbon: Range | None
    """g/kWh."""
    carbon_basis: CarbonBasis | None
    valueless: int
    """Intervals without a price or a carbon intensity that can be trusted."""
    flagged: int
    """Intervals with something against them."""
    silent: str | None
    """For how long no tick tells anything; None where each moment has one."""
    jobs_paused: int
    pauses: int
    """Of all jobs; one of several workers counts once."""
    jobs_resumed: int
    resumes: int
    refused: int
    """Caps that a driver refused."""
    expired: int
    """Leases that ran out."""
    impossible: int
    """Accounts of more energy than a board can draw."""

    def facts(self) -> dict[str, float | str | None]:
        """By name, flat."""
        red, price, carbon = self.longest_red, self.price, self.carbon
        return {
            "length": self.length,
            "known": self.known or self.length,
            **{state.lower(): self.lasted.get(state) for state in Pulse},
            "changes": self.changes,
            "longest_red_from": red.start if red else None,
            "longest_red_to": red.end if red else None,
            "longest_red_lasted": red.lasted if red else None,
            "longest_red_since": red.since if red else None,
            "longest_red_goes_on": ("yes" if red.goes_on else "no") if red else None,
            "longest_red_reason": red.reason if red else None,
            "lowest_price_usd_per_mwh": price.low if price else None,
            "lowest_price_at": price.low_at if price else None,
            "highest_price_usd_per_mwh": price.high if price else None,
            "highest_price_at": price.high_at if price else None,
            "lowest_carbon_g_per_kwh": carbon.low if carbon else None,
            "lowest_carbon_at": carbon.low_at if carbon else None,
            "highest_carbon_g_per_kwh": carbon.high if carbon else None,
            "highest_carbon_at": carbon.high_at if carbon else None,
            "carbon_basis": self.carbon_basis.value if self.carbon_basis else None,
            "intervals_without_a_value": self.valueless,
            "intervals_flagged": self.flagged,
            "silent": self.silent,
            "jobs_paused": self.jobs_paused,
            "pauses": self.pauses,
            "jobs_resumed": self.jobs_resumed,
            "resumes": self.resumes,
            "caps_refused": self.refused,
            "leases_expired": self.expired,
            "accounts_impossible": self.impossible,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The energy that was metered."""

    energy_kwh: float
    parked_kwh: float
    """The part of it drawn while training waited."""
    bases: tuple[EnergyBasis, ...]
    """Where it comes from, the strongest first."""

    def facts(self) -> dict[str, float | str | None]:
        """By name, flat."""
        return {
            "drawn_kwh": self.energy_kwh,
            "parked_kwh": self.parked_kwh,
            "energy_basis": ", ".join(self.bases),
        }


def happened_in(heard: Heard, slots: Sequence[Slot]) -> Happened:
    """What happened; durations are of the span alone."""
    span = heard.span
    times = dict.fromkeys(Pulse, timedelta(0))
    for start, end, told in laid_out(heard.states, span):
        times[told.state] += end - start
    known = sum(times.values(), start=timedelta(0))
    ticks = list(laid_out(heard.ticks, span))
    silent = span.length - sum((end - start for start, end, _ in ticks), start=timedelta(0))
    return Happened(
        length=duration(span.length),
        known=None if known == span.length else duration(known),
        lasted={state: duration(length) for state, length in times.items() if length},
        changes=len(heard.changes),
        longest_red=_longest_red(heard),
        price=range_of(slots, lambda slot: slot.price_usd_per_mwh, span),
        carbon=range_of(slots, lambda slot: slot.carbon_g_per_kwh, span),
        carbon_basis=prevailing_basis(heard),
        valueless=sum(1 for _, _, tick in ticks if None in {tick.price_usd_per_mwh, tick.carbon_g_per_kwh}),
        flagged=sum(1 for _, _, tick in ticks if tick.flagged),
        silent=duration(silent) if silent else None,
        jobs_paused=heard.pauses.jobs(WorkerEventKind.PAUSED),
        pauses=heard.pauses.times(WorkerEventKind.PAUSED),
        jobs_resumed=heard.pauses.jobs(WorkerEventKind.RESUMED),
        resumes=heard.pauses.times(WorkerEventKind.RESUMED),
        refused=heard.happenings[WorkerEventKind.CAP_REFUSED],
        expired=heard.happenings[WorkerEventKind.LEASE_EXPIRED],
        impossible=len(heard.draws.impossible),
    )


def drawn_in(heard: Heard) -> Drawn | None:
    """The energy of all boards; None where none was metered."""
    if not heard.draws:
        return None
    draws = list(heard.draws)
    energy, parked = rounded(
        sum(draw.energy_j for draw in draws) / J_PER_KWH, sum(draw.parked_j for draw in draws) / J_PER_KWH
    )
    return Drawn(
        energy_kwh=energy,
        parked_kwh=parked,
        bases=tuple(basis for basis in EnergyBasis if basis in heard.draws.bases),
    )


def range_of(slots: Sequence[Slot], value: Callable[[Slot], float | None], span: Span) -> Range | None:
    """The lowest and the highest, the first of each; None where no slot has a value."""
    known = [(one, slot.start) for slot in slots if (one := value(slot)) is not None]
    if not known:
        return None
    low, low_at = min(known)
    high, high_at = max(known, key=lambda pair: pair[0])
    shown_low, shown_high = rounded(low, high)
    return Range(low=shown_low, low_at=span.said(low_at), high=shown_high, high_at=span.said(high_at))


def _longest_red(heard: Heard) -> Red | None:
    """The first of the longest; a gap in what is known ends one."""
    stretches: list[tuple[datetime, datetime, StateHeard]] = []
    for start, end, told in laid_out(heard.states, heard.span):
        if told.state is not Pulse.RED:
            continue
        if stretches and stretches[-1][1] == start:
            stretches[-1] = (stretches[-1][0], end, stretches[-1][2])
        else:
            stretches.append((start, end, told))
    if not stretches:
        return None
    span = heard.span
    start, end, first = max(stretches, key=lambda one: one[1] - one[0])
    reason = _reason_of_beginning(heard, first)
    return Red(
        start=span.said(start),
        end=span.said(end),
        lasted=duration(end - start),
        since=span.said_before(first.since) if first.since < start else None,
        goes_on=end == span.end and heard.at_end is not None and heard.at_end[1] is Pulse.RED,
        reason=reason if reason is None or fullmatch(CODE, reason) else OTHER_REASON,
    )


def _reason_of_beginning(heard: Heard, first: StateHeard) -> str | None:
    """Of the RED that `first` belongs to; None where neither its first state nor its transition was heard."""
    began = heard.states.get(first.since)
    if began is not None and began.state is Pulse.RED:
        return began.reason
    return heard.red_began.get(first.since)
