"""What speaks against a value: each check on the past alone, so that a replay finds what the live run found. Pure.

The thresholds are those at which a year of real ticks raises next to no alarm: `benchmarks/integrity.py` counts them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import bottleneck as bn
import numpy as np
from numpy.typing import NDArray

from carbonshift.common.events import CarbonBasis, Issue, PriceMarket
from carbonshift.ingest.cleaning.series import Flags, Values

__all__ = ["CARBON_RANGE_G_PER_KWH", "DAY_SECONDS", "Findings", "Latch", "Pair", "inspect"]

DAY_SECONDS = 86_400
PRICE_RANGE_USD_PER_MWH = (-5_000.0, 25_000.0)
"""Real prices up to 8,995 are in the tapes, the dearest cap in force anywhere (Australia) is about 12,000."""
CARBON_RANGE_G_PER_KWH = (0.0, 3_000.0)
"""Old lignite emits about 1,300; the marginal rate of a grid that has to lose some of it on the way, not twice that."""
LOW_PRICE_USD_PER_MWH = 5.0
"""Up to here something that costs nothing sets the price, so a marginal intensity of 0 is no surprise."""
CLEAN_GRID_G_PER_KWH = 20.0
"""The day's median of a grid of water alone; France, the cleanest one on tape, has 30 on most days."""
SOON_STEPS = 4
"""So many equal values of one signal speak against it while the other one moves."""
LATE_STEPS = 6
"""So many speak against it whatever the other one does."""
FURTHEST_STEP_TO_ZERO_USD_PER_MWH = 10.0
"""A price that is exactly 0 was within this of it before, but for one in six thousand intervals of two real years."""
LONGEST_ZERO_SECONDS = 13 * 3_600
"""The longest true stand at 0 g/kWh in two years of ticks took 12.2 hours."""
UNIT_FACTORS = (1_000.0, 453.592_37, 100.0)
"""Kilo or mega, pounds or kilograms a thousandfold, cents or dollars; upward and downward. A factor of 2.2 (pounds a
MWh or kg a MWh) cannot be told from a real change by its size: there the declared unit is what protects."""
JUMP_TOLERANCE = np.log(1.25)
LEVEL_TOLERANCE = np.log(2.0)
MOST_EXTREME_RANK = 0.9
"""Of -1, the lowest of the last day, to 1, its highest."""
DISPUTED_SHARE = 0.5
DISPUTED_USD_PER_MWH = 20.0
DISPUTED_G_PER_KWH = 100.0


@dataclass(frozen=True, slots=True)
class Latch:
    """A unit jump that has not been undone: the level before it, and the factor."""

    level: float
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both signals of one grid, and what they are; arrays of shape (n,), NaN = missing."""

    interval_seconds: int
    price: Values
    """USD/MWh."""
    price_seconds: int
    """Length of the interval that one price holds for."""
    price_market: PriceMarket
    carbon: Values
    """g/kWh."""
    carbon_seconds: int
    carbon_basis: CarbonBasis
    price_witness: Values | None = None
    """What a second provider says of the price; None = nobody was asked."""
    carbon_witness: Values | None = None


@dataclass(slots=True)
class Findings:
    """Where each issue was found; arrays of shape (n,)."""

    found: dict[Issue, Flags] = field(default_factory=dict)
    price_latch: Latch | None = None
    """Of a jump that still stands at the end."""
    carbon_latch: Latch | None = None

    def add(self, issue: Issue, where: Flags) -> None:
        self.found[issue] = where


def inspect(
    pair: Pair, start: int = 0, price_latch: Latch | None = None, carbon_latch: Latch | None = None
) -> Findings:
    """The findings of `pair`; what lies before `start` is only looked back on, and its flags are not all set.

    Args:
        pair: a day before `start` is looked back on, where there is one.
        start: first position to judge.
        price_latch: a unit jump that stood just before `start`.
        carbon_latch: likewise.
    """
    day = DAY_SECONDS // pair.interval_seconds
    findings = Findings()
    price = _within(pair.price, PRICE_RANGE_USD_PER_MWH)
    carbon = _within(pair.carbon, CARBON_RANGE_G_PER_KWH)
    findings.add(Issue.PRICE_OUT_OF_RANGE, np.isnan(price) & ~np.isnan(pair.price))
    findings.add(Issue.CARBON_OUT_OF_RANGE, np.isnan(carbon) & ~np.isnan(pair.carbon))
    price_level, carbon_level = _medians(price, day), _medians(carbon, day)
    _zeros(findings, pair, price, carbon, carbon_level, day)
    _stands(findings, pair, price, carbon, price_level, carbon_level, day)
    followed = _carbon_followed(price, carbon)
    where, findings.price_latch = _jumps(price, price_level, followed, start, price_latch)
    findings.add(Issue.PRICE_UNIT_JUMP, where)
    where, findings.carbon_latch = _jumps(carbon, carbon_level, _price_explains(pair, price), start, carbon_latch)
    findings.add(Issue.CARBON_UNIT_JUMP, where)
    findings.add(Issue.PRICE_DISPUTED, _disputed(price, pair.price_witness, DISPUTED_USD_PER_MWH))
    findings.add(Issue.CARBON_DISPUTED, _disputed(carbon, pair.carbon_witness, DISPUTED_G_PER_KWH))
    if pair.price_market is PriceMarket.REAL_TIME and pair.carbon_basis is CarbonBasis.MARGINAL:
        findings.add(Issue.SIGNALS_DISAGREE, _disagree(price, carbon, day))
    return findings


def _within(values: Values, limits: tuple[float, float]) -> Values:
    with np.errstate(invalid="ignore"):
        return np.where((values >= limits[0]) & (values <= limits[1]), values, np.nan)


def _medians(values: Values, day: int) -> Values:
    """Of the trailing day, once an eighth of it is there."""
    return _moving(bn.move_median, values, day)


def _moving(statistic: Callable[..., Values], values: Values, day: int) -> Values:
    """A statistic of the trailing day; NaN until an eighth of it has been observed, however much is looked at."""
    least = min(max(2, day // 8), day)
    if values.size < least:
        return np.full(values.size, np.nan)
    return statistic(values, min(day, values.size), least)


def _zeros(findings: Findings, pair: Pair, price: Values, carbon: Values, carbon_level: Values, day: int) -> None:
    """A zero is believed where the other signal explains it, and not for ever.

    Marginal carbon of 0 needs a price at which nothing that burns would run. The average of a whole grid is 0 only
    where it is next to that on any day. A price of exactly 0 is come to by small steps, and not while the carbon is
    higher than usual.
    """
    zero = carbon == 0.0
    if pair.carbon_basis is CarbonBasis.MARGINAL:
        explained = (price <= LOW_PRICE_USD_PER_MWH) & (price != 0.0)  # two zeros explain nothing
    else:
        explained = _medians(np.where(carbon > 0.0, carbon, np.nan), day) <= CLEAN_GRID_G_PER_KWH  # not of zeros alone
    longest = LONGEST_ZERO_SECONDS // pair.interval_seconds
    findings.add(Issue.CARBON_ZERO, zero & (~explained | (_equal_runs(carbon).lengths > longest)))
    from_afar = np.abs(_last_nonzero(price)) > FURTHEST_STEP_TO_ZERO_USD_PER_MWH
    too_long = _equal_runs(price).lengths > longest
    findings.add(Issue.PRICE_ZERO, (price == 0.0) & ((carbon > carbon_level) | from_afar | too_long))


def _last_nonzero(values: Values) -> Values:
    """The last value before or at each place that is neither missing nor 0; NaN where there is none."""
    at = np.maximum.accumulate(np.where(np.isnan(values) | (values == 0.0), -1, np.arange(values.size)))
    return np.where(at >= 0, values[at], np.nan)


def _stands(
    findings: Findings,
    pair: Pair,
    price: Values,
    carbon: Values,
    price_level: Values,
    carbon_level: Values,
    day: int,
) -> None:
    """A value that stands still: sooner where the other signal has moved since, later in any case.

    Spared are the highest values of the day (a scarcity price and the dirtiest plant are limits that real signals rest
    at, and neither makes GREEN) and carbon of 0, which `_zeros` judges.
    """
    price_runs, carbon_runs = _equal_runs(price), _equal_runs(carbon)
    price_step = max(1, pair.price_seconds // pair.interval_seconds)
    carbon_step = max(1, pair.carbon_seconds // pair.interval_seconds)
    price_moved = price_runs.firsts > carbon_runs.firsts
    # a day-ahead price was fixed the day before: that the carbon has moved since says nothing of it
    carbon_moved = (carbon_runs.firsts > price_runs.firsts) & (pair.price_market is PriceMarket.REAL_TIME)
    findings.add(
        Issue.PRICE_FLAT,
        _too_long(price_runs.lengths, price_step, carbon_moved) & ~_at_top(price, price_level, day),
    )
    findings.add(
        Issue.CARBON_FLAT,
        _too_long(carbon_runs.lengths, carbon_step, price_moved)
        & ~_at_top(carbon, carbon_level, day)
        & (carbon != 0.0),
    )


def _too_long(lengths: NDArray[np.int64], step: int, other_moved: Flags) -> Flags:
    """A step that is held over several intervals counts once."""
    result: Flags = (lengths > (LATE_STEPS - 1) * step) | ((lengths > (SOON_STEPS - 1) * step) & other_moved)
    return result


def _at_top(values: Values, level: Values, day: int) -> Flags:
    """At the highest of the trailing day, and above its median: what stands there all day is the median itself."""
    result: Flags = (values >= bn.move_max(values, min(day, values.size), 1)) & ((values > level) | np.isnan(level))
    return result


@dataclass(frozen=True, slots=True)
class _Runs:
    lengths: NDArray[np.int64]
    """How many observed values up to here are the same; 0 where none is observed."""
    firsts: NDArray[np.int64]
    """Where the run began; -1 where none is observed."""


def _equal_runs(values: Values) -> _Runs:
    """Runs of equal values; a gap does not end one, or a frozen feed with holes would pass."""
    at = np.flatnonzero(~np.isnan(values))
    lengths = np.zeros(values.size, dtype=np.int64)
    firsts = np.full(values.size, -1, dtype=np.int64)
    if at.size:
        observed = values[at]
        numbers = np.arange(at.size)
        begins = np.concatenate(([True], observed[1:] != observed[:-1]))
        first = np.maximum.accumulate(np.where(begins, numbers, 0))
        lengths[at] = numbers - first + 1
        firsts[at] = at[first]
    return _Runs(lengths, firsts)


def _carbon_followed(price: Values, carbon: Values) -> Flags:
    """Where carbon went the way of the price by half of itself or more, and not by the factor of another unit.

    A marginal price that falls to next to nothing takes the carbon intensity with it. Two signals that fall by the
    same factor have changed their units together.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        price_step, carbon_step = _log_steps(price), _log_steps(carbon)
        same = np.abs(price_step - carbon_step) < JUMP_TOLERANCE
        result: Flags = (np.sign(price_step) == np.sign(carbon_step)) & (np.abs(carbon_step) > LEVEL_TOLERANCE) & ~same
    return result


def _price_explains(pair: Pair, price: Values) -> Flags:
    """Where a price at which nothing that burns would run lets marginal carbon plunge, or come back from it."""
    if pair.carbon_basis is not CarbonBasis.MARGINAL:
        return np.zeros(price.size, dtype=np.bool_)
    low = price <= LOW_PRICE_USD_PER_MWH
    result: Flags = low | np.concatenate(([False], low[:-1]))
    return result


def _log_steps(values: Values) -> Values:
    """Logarithm of the ratio of each value to the observed one before it; NaN where there is none."""
    steps = np.full(values.size, np.nan)
    at = np.flatnonzero(~np.isnan(values))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps[at[1:]] = np.log(np.abs(values[at[1:]] / values[at[:-1]]))
    return steps


def _jumps(
    values: Values, level: Values, explained: Flags, start: int, latch: Latch | None
) -> tuple[Flags, Latch | None]:
    """Where `values` stands at a multiple of itself by which two units differ, until it is back.

    A jump is one from its neighbour, and from the median of the day before it, by the same factor, that the other
    signal does not explain.
    """
    flags = np.zeros(values.size, dtype=np.bool_)
    candidates = _jump_candidates(values, level, explained)
    at = start
    while at < values.size:
        if latch is None:
            later = candidates.positions[candidates.positions >= at]
            if not later.size:
                break
            at = int(later[0])
            number = int(np.searchsorted(candidates.positions, at))
            latch = Latch(float(candidates.levels[number]), float(candidates.factors[number]))
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.abs(np.log(np.abs(values[at:]) / latch.level))
            shifted = np.abs(np.log(np.abs(values[at:]) / (latch.level * latch.factor)))
        back = np.flatnonzero(distance < shifted)
        after = at + int(back[0]) if back.size else values.size
        flags[at:after] = ~np.isnan(values[at:after])
        if back.size:
            latch = None
        at = after + 1  # the way back is no jump
    return flags, latch


@dataclass(frozen=True, slots=True)
class _Candidates:
    positions: NDArray[np.int64]
    levels: Values
    factors: Values


def _jump_candidates(values: Values, level: Values, explained: Flags) -> _Candidates:
    at = np.flatnonzero(~np.isnan(values))
    before, here = at[:-1], at[1:]
    step = _log_steps(values)[here]
    with np.errstate(divide="ignore", invalid="ignore"):
        from_level = np.log(np.abs(values[here] / level[before]))
    factors = np.zeros(here.size)
    for factor in UNIT_FACTORS:
        for signed in (np.log(factor), -np.log(factor)):
            near = (np.abs(step - signed) < JUMP_TOLERANCE) & (np.abs(from_level - signed) < LEVEL_TOLERANCE)
            factors[near & ~explained[here]] = np.exp(signed)
    found = factors > 0
    return _Candidates(here[found], np.abs(level[before[found]]), factors[found])


def _disputed(values: Values, witness: Values | None, least: float) -> Flags:
    """Where a second provider says something else altogether."""
    if witness is None:
        return np.zeros(values.size, dtype=np.bool_)
    apart = np.abs(values - witness)
    result: Flags = (apart > least) & (apart > DISPUTED_SHARE * np.fmax(np.abs(values), np.abs(witness)))
    return result


def _disagree(price: Values, carbon: Values, day: int) -> Flags:
    """One at the top of its day and the other at the bottom: in real time the marginal plant sets both."""
    price_rank, carbon_rank = _moving(bn.move_rank, price, day), _moving(bn.move_rank, carbon, day)
    result: Flags = ((price_rank > MOST_EXTREME_RANK) & (carbon_rank < -MOST_EXTREME_RANK)) | (
        (price_rank < -MOST_EXTREME_RANK) & (carbon_rank > MOST_EXTREME_RANK)
    )
    return result
