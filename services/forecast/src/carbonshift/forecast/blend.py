"""One forecast out of several, in which each model weighs by what it has lost lately. Pure."""

from collections.abc import Collection, Mapping

import numpy as np

from carbonshift.forecast.forecaster import Array
from carbonshift.forecast.opinion import SIGNALS, SPIKE, Opinion
from carbonshift.forecast.record import BLEND, BLOCK_HOURS, COUNT, LOSS, REGRET, SUMS_SHAPE, Record

__all__ = ["blended", "weights"]

STEEPNESS = 10.0
"""A model that loses a tenth more than the blend weighs 1/e of what it would otherwise."""
FIRST_SHARE = 0.7
"""Of the model named first, before there is any evidence; the other models share the rest."""
NEWCOMER_SHARE = 0.01
"""Of each who was shown what the first model says, before there is any: what it proposes may be anything."""
PRIOR_STEPS = 20
"""So many judged steps of equal loss stand against what little evidence there is at first."""


def weights(record: Record, models: tuple[str, ...], signal: str, newcomers: Collection[str] = ()) -> Array:
    """How much each of some models weighs in each block of lead times, of the shape (models, blocks); columns sum to 1.

    Args:
        record: the evidence.
        models: at least one; the first is the one to trust before there is any.
        signal: of which they speak. A spike's probability weighs as the price it is drawn from.
        newcomers: those of the models that are hardly trusted before there is any.
    Source: exponentially weighted averages of experts, Cesa-Bianchi and Lugosi (2006), Prediction, Learning, and Games,
        chapters 2 and 5.3 (experts who are at times silent); the losses discounted, and in units of the blend's own.
    """
    number = SIGNALS.index("price" if signal == SPIKE else signal)
    nothing = np.zeros(SUMS_SHAPE)
    blend = record.sums.get(BLEND, nothing)[number]
    regrets = np.stack([record.sums.get(model, nothing)[number, :, REGRET] for model in models])
    lost, count = blend[:, LOSS], blend[:, COUNT]
    judged = (lost > 0) & (count > 0)
    measure = lost * (1.0 + PRIOR_STEPS / np.where(judged, count, 1.0))
    relative = np.divide(regrets, measure, out=np.zeros_like(regrets), where=judged)
    exponents = -STEEPNESS * (relative - relative.min(axis=0))
    raw = _prior(models, newcomers)[:, None] * np.exp(exponents)
    shares: Array = raw / raw.sum(axis=0)
    return shares


def _prior(models: tuple[str, ...], newcomers: Collection[str]) -> Array:
    new = np.array([model in newcomers for model in models])
    shares = np.where(new, NEWCOMER_SHARE, 0.0)
    settled = np.flatnonzero(~new)
    rest = 1.0 - float(shares.sum())
    if settled.size:
        shares[settled] = rest * (1.0 - FIRST_SHARE) / max(settled.size - 1, 1)
        shares[settled[0]] = rest * (FIRST_SHARE if settled.size > 1 else 1.0)
    return shares


def blended(
    record: Record, opinions: Mapping[str, Opinion], step_seconds: int, newcomers: Collection[str] = ()
) -> Opinion:
    """Each quantile as the weighted mean of the models' own, each step of a signal of those that speak of it.

    Args:
        record: the evidence.
        opinions: by model, in the order of trust before there is any evidence; of each step at least one speaks.
        step_seconds: length of a step.
        newcomers: see `weights`.
    """
    found = {}
    for signal in SIGNALS:
        speak = {model: opinion[signal] for model, opinion in opinions.items() if signal in opinion}
        rows = np.stack(list(speak.values()))
        hours = np.arange(1, rows.shape[-1] + 1) * step_seconds / 3_600
        blocks = np.searchsorted(BLOCK_HOURS, hours, side="left")
        of_step = weights(record, tuple(speak), signal, newcomers)[:, blocks]
        of_step = np.where(np.isnan(rows[:, 0]), 0.0, of_step)
        found[signal] = np.einsum("ms,mqs->qs", of_step / of_step.sum(axis=0), np.nan_to_num(rows))
    return found
