"""What models have said of a region and what came of it: the evidence by which they weigh. Pure.

What was lost counts half after five days. A model's regret is what it lost more than the blend of all on the very steps
of which it spoke: one that speaks seldom, or came late, is neither favoured nor punished for its silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from carbonshift.forecast.forecaster import Array, History
from carbonshift.forecast.opinion import CARBON, PRICE, SIGNALS, SPIKE, Opinion
from carbonshift.forecast.scores import QUANTILES, pinball

__all__ = [
    "BLEND",
    "BLOCK_HOURS",
    "COUNT",
    "COVERED",
    "LOSS",
    "MISSED",
    "REGRET",
    "ROWS_SAID",
    "SUMS_SHAPE",
    "Claim",
    "Record",
    "claim_of",
    "learned",
]

BLEND = "blend"
"""The forecast that went out."""
HALF_LIFE_SECONDS = 5 * 86_400.0
FORGOTTEN_BELOW = 0.01
"""Steps that count for what is left of a model that speaks no more."""
BLOCK_HOURS = (1, 2, 3, 4, 8, 16)
"""Where one block of lead times ends and the next begins; the last has no end."""
LEADS_MINUTES = (*range(15, 241, 15), *range(300, 10_081, 60))
"""What is kept of a forecast, to be judged: neighbouring steps say nearly the same."""
FIELDS = LOSS, MISSED, COVERED, REGRET, COUNT = range(5)
"""Sums over judged steps: pinball (of a spike Brier) loss, absolute error, whether p10 to p90 held it, regret, ones."""
SUMS_SHAPE = (len(SIGNALS), len(BLOCK_HOURS) + 1, len(FIELDS))
ROWS = {PRICE: slice(0, 3), CARBON: slice(3, 6), SPIKE: slice(6, 7)}
ROWS_SAID = 7
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claim:
    """What was said from one origin, at the leads that are judged."""

    origin: int
    """Unix second at which the first step starts."""
    step_seconds: int
    leads: Numbers
    """In steps, ascending; of the shape (k,)."""
    spike_threshold_usd_per_mwh: float
    said: Mapping[str, Array]
    """By model, the blend among them; of the shape (7, k), NaN where it says nothing or where the price was known."""
    judged: int = 0
    """How many of the leads have passed and been judged."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """Of one region."""

    as_of: int = 0
    """Unix second up to which it has learned."""
    sums: Mapping[str, Array] = field(default_factory=dict)
    """By model, of the shape (signals, blocks, fields)."""
    claims: tuple[Claim, ...] = ()
    """Not yet judged to their end, oldest first."""


def claim_of(
    opinions: Mapping[str, Opinion], origin: int, step_seconds: int, threshold_usd_per_mwh: float, known: int
) -> Claim:
    """What is to be judged of these opinions.

    Args:
        opinions: by model, the blend among them.
        origin: Unix second at which the first step starts.
        step_seconds: length of a step.
        threshold_usd_per_mwh: above it a price is a spike.
        known: of how many first steps the price is published: nobody foretold it.
    """
    steps = next(rows.shape[1] for opinion in opinions.values() for rows in opinion.values())
    leads = np.array(sorted({lead for m in LEADS_MINUTES if 1 <= (lead := 60 * m // step_seconds) <= steps} | {1}))
    said = {}
    for model, opinion in opinions.items():
        rows = np.full((ROWS_SAID, leads.size), np.nan)
        for signal, values in opinion.items():
            rows[ROWS[signal]] = values[:, leads - 1]
        for signal in (PRICE, SPIKE):
            rows[ROWS[signal], leads <= known] = np.nan
        said[model] = rows
    return Claim(
        origin=origin,
        step_seconds=step_seconds,
        leads=leads,
        spike_threshold_usd_per_mwh=threshold_usd_per_mwh,
        said=said,
    )


def learned(record: Record, history: History) -> Record:
    """The record after all that has come by the origin of `history`, each step judged once, as it was first known."""
    now = int(history.origin.timestamp())
    fading = 0.5 ** (max(now - record.as_of, 0) / HALF_LIFE_SECONDS)
    faded = {model: fading * old for model, old in record.sums.items()}
    sums = {model: old for model, old in faded.items() if old[..., COUNT].sum() >= FORGOTTEN_BELOW}
    claims = []
    for claim in record.claims:
        if claim.step_seconds != history.step_seconds or (now - claim.origin) % claim.step_seconds:
            continue  # said of another grid: none of its steps is an interval of this one
        passed = int(np.searchsorted(claim.leads, (now - claim.origin) // claim.step_seconds, side="right"))
        if passed > claim.judged:
            _judge(sums, claim, slice(claim.judged, passed), history)
        if passed < claim.leads.size:
            claims.append(replace(claim, judged=max(passed, claim.judged)))
    return Record(as_of=max(now, record.as_of), sums=sums, claims=tuple(claims))


def _judge(sums: dict[str, Array], claim: Claim, which: slice, history: History) -> None:
    """Add to `sums` what each model lost at these leads of the claim."""
    size = history.price_usd_per_mwh.size
    start = int(history.origin.timestamp()) - size * history.step_seconds
    at = (claim.origin - start) // history.step_seconds + claim.leads[which] - 1
    inside = (at >= 0) & (at < size)
    price, carbon = (
        np.where(inside, values[np.clip(at, 0, size - 1)], np.nan)
        for values in (history.price_usd_per_mwh, history.carbon_g_per_kwh)
    )
    spike = np.where(np.isnan(price), np.nan, price > claim.spike_threshold_usd_per_mwh)
    actual = {PRICE: price, CARBON: carbon, SPIKE: spike}
    hours = claim.leads[which] * claim.step_seconds / 3_600
    blocks = np.searchsorted(BLOCK_HOURS, hours, side="left")
    scores = {model: _scores(said[:, which], actual) for model, said in claim.said.items()}
    of_all = scores[BLEND][..., LOSS]
    for model, score in scores.items():
        score[..., REGRET] = score[..., LOSS] - of_all
        told = ~np.isnan(score[..., LOSS])
        score[~told] = 0.0
        own = sums.setdefault(model, np.zeros(SUMS_SHAPE))
        for signal in range(len(SIGNALS)):
            np.add.at(own[signal], blocks, np.nan_to_num(score[signal]))


def _scores(said: Array, actual: Mapping[str, Array]) -> Array:
    """Of each signal and lead, of the shape (signals, leads, fields); NaN where nothing was said or is known."""
    scores = np.zeros((len(SIGNALS), said.shape[1], len(FIELDS)))
    for number, signal in enumerate((PRICE, CARBON)):
        quantiles, came = said[ROWS[signal]], actual[signal]
        losses = [pinball(came, rows, level) for rows, level in zip(quantiles, QUANTILES, strict=True)]
        scores[number, :, LOSS] = np.mean(losses, axis=0)
        scores[number, :, MISSED] = np.abs(came - quantiles[1])
        scores[number, :, COVERED] = (came >= quantiles[0]) & (came <= quantiles[2])
    scores[-1, :, LOSS] = (said[ROWS[SPIKE]][0] - actual[SPIKE]) ** 2
    scores[..., COUNT] = 1.0
    return scores
