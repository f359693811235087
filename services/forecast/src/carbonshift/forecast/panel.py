"""What several models say together, and what of it is to be judged once it has come. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from carbonshift.forecast.blend import blended, weights
from carbonshift.forecast.forecaster import History, Outlook
from carbonshift.forecast.opinion import CARBON, PRICE, Opinion, opinion_of
from carbonshift.forecast.published import known_ahead, with_known
from carbonshift.forecast.record import BLEND, BLOCK_HOURS, Record, claim_of, learned

__all__ = ["Verdict", "verdict"]

WEIGHED_HOURS = 4
"""The weights that are told are means over so many."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """A forecast, and how it came about."""

    said: Opinion
    """Of all signals."""
    spike_threshold_usd_per_mwh: float
    """Above it a price is a spike: the first model's."""
    known_steps: int
    """Of so many first steps the price is published."""
    price_models: Mapping[str, float]
    """By model, how much it weighs in the first hours; they sum to 1."""
    carbon_models: Mapping[str, float]
    degraded: bool
    record: Record
    """After all that has come, with this forecast to be judged."""


def verdict(record: Record, history: History, outlooks: Mapping[str, Outlook], more: Mapping[str, Opinion]) -> Verdict:
    """What the models say together.

    Args:
        record: of how they have done before.
        history: that they were told from.
        outlooks: by model, at least one, the one to trust first in front. Where some are degraded and some are not,
            those that are have no say.
        more: opinions of those who speak of some signals only, or were shown an outlook.
    """
    record = learned(record, history)
    sound = {model: outlook for model, outlook in outlooks.items() if not outlook.degraded}
    threshold = next(iter(outlooks.values())).spike_threshold_usd_per_mwh
    opinions = _of_all_steps(sound or outlooks) | dict(more)
    known = known_ahead(history)
    said = with_known(blended(record, opinions, history.step_seconds, more.keys()), known, threshold)
    steps = said[PRICE].shape[1]
    origin = int(history.origin.timestamp())
    claim = claim_of(opinions | {BLEND: said}, origin, history.step_seconds, threshold, known.size)
    return Verdict(
        said=said,
        spike_threshold_usd_per_mwh=threshold,
        known_steps=min(known.size, steps),
        price_models=_weights(record, opinions, PRICE, more.keys()),
        carbon_models=_weights(record, opinions, CARBON, more.keys()),
        degraded=not sound,
        record=replace(record, claims=(*(one for one in record.claims if one.origin < origin), claim)),
    )


def _of_all_steps(outlooks: Mapping[str, Outlook]) -> dict[str, Opinion]:
    """The opinions of models; where none of them speaks of some step, the first one's numbers stand there."""
    opinions = {model: opinion_of(outlook) for model, outlook in outlooks.items()}
    first, outlook = next(iter(outlooks.items()))
    whole = opinion_of(replace(outlook, price_silent=np.empty(0, bool), carbon_silent=np.empty(0, bool)))
    for signal, rows in whole.items():
        silent = np.ones(rows.shape[1], dtype=np.bool_)
        for opinion in opinions.values():
            if signal in opinion:
                silent &= np.isnan(opinion[signal][0])
        if silent.any():
            own = opinions[first].get(signal, np.full_like(rows, np.nan))
            opinions[first] = {**opinions[first], signal: np.where(silent, rows, own)}
    return opinions


def _weights(
    record: Record, opinions: Mapping[str, Opinion], signal: str, newcomers: Collection[str]
) -> dict[str, float]:
    speak = tuple(model for model, opinion in opinions.items() if signal in opinion)
    means = weights(record, speak, signal, newcomers)[:, : BLOCK_HOURS.index(WEIGHED_HOURS) + 1].mean(axis=1)
    return dict(zip(speak, means.tolist(), strict=True))
