"""One forecast out of several, in which each model weighs by what it has lost lately. Pure."""

from collections.abc import Mapping

import numpy as np

from carbonshift.forecast.forecaster import Array
from carbonshift.forecast.opinion import SIGNALS, SPIKE, Opinion
from carbonshift.forecast.record import BLEND, BLOCK_HOURS, LOSS, REGRET, Record

__all__ = ["blended", "weights"]

STEEPNESS = 10.0
"""A model that loses a tenth more than the blend weighs 1/e of what it would otherwise."""
FIRST_SHARE = 0.7
"""Of the model named first, before there is any evidence; the others share the rest."""


def weights(record: Record, models: tuple[str, ...], signal: str) -> Array:
    """How much each of some models weighs in each block of lead times, of the shape (models, blocks); columns sum to 1.

    A block in which nothing has been judged yet is as the one before it.

    Args:
        record: the evidence.
        models: at least one; the first is the one to trust before there is any.
        signal: of which they speak. A spike's probability weighs as the price it is drawn from.
    Source: exponentially weighted averages of experts, Cesa-Bianchi and Lugosi (2006), Prediction, Learning, and Games,
        chapters 2 and 5.3 (experts who are at times silent); the losses discounted, and in units of the blend's own.
    """
    number = SIGNALS.index("price" if signal == SPIKE else signal)
    prior = np.full(len(models), (1.0 - FIRST_SHARE) / max(len(models) - 1, 1))
    prior[0] = FIRST_SHARE if len(models) > 1 else 1.0
    blocks = len(BLOCK_HOURS) + 1
    nothing = np.zeros((len(SIGNALS), blocks, REGRET + 1))
    lost = record.sums.get(BLEND, nothing)[number, :, LOSS]
    regrets = np.stack([record.sums.get(model, nothing)[number, :, REGRET] for model in models])
    relative = np.divide(regrets, lost, out=np.zeros_like(regrets), where=lost > 0)
    for block in range(1, blocks):
        if not lost[block] > 0:
            relative[:, block] = relative[:, block - 1]
    exponents = -STEEPNESS * (relative - relative.min(axis=0))
    raw = prior[:, None] * np.exp(exponents)
    shares: Array = raw / raw.sum(axis=0)
    return shares


def blended(record: Record, opinions: Mapping[str, Opinion], step_seconds: int) -> Opinion:
    """Each quantile as the weighted mean of the models' own, each signal of those that speak of it.

    Args:
        record: the evidence.
        opinions: by model, in the order of trust before there is any evidence; of each signal at least one speaks.
        step_seconds: length of a step.
    """
    found = {}
    for signal in SIGNALS:
        speak = {model: opinion[signal] for model, opinion in opinions.items() if signal in opinion}
        rows = np.stack(list(speak.values()))
        hours = np.arange(1, rows.shape[-1] + 1) * step_seconds / 3_600
        of_step = weights(record, tuple(speak), signal)[:, np.searchsorted(BLOCK_HOURS, hours, side="left")]
        found[signal] = np.einsum("ms,mqs->qs", of_step, rows)
    return found
