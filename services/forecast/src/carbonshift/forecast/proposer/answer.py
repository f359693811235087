"""What a model answered, believed only where it can be true. Pure."""

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from carbonshift.common.paid_model import NoAnswerError, Reason
from carbonshift.forecast.forecaster import Array, Bands, History, Outlook
from carbonshift.forecast.proposer.points import Points, between
from carbonshift.forecast.proposer.unusable import Unusable

__all__ = ["SCHEMA", "Answer", "outlook_of"]

LEAST_ROOM_USD_PER_MWH = 100.0
LARGEST_G_PER_KWH = 2_000.0
"""No power plant emits so much: the oldest lignite ones stay below 1,500."""


class Quantiles(BaseModel):
    """One number a point in each."""

    model_config = ConfigDict(strict=True, extra="forbid")

    p10: list[FiniteFloat]
    p50: list[FiniteFloat]
    p90: list[FiniteFloat]


class Answer(BaseModel):
    """What a model is to fill in."""

    model_config = ConfigDict(strict=True, extra="forbid")

    price_usd_per_mwh: Quantiles
    carbon_g_per_kwh: Quantiles
    spike_probability: list[FiniteFloat]


SCHEMA = Answer.model_json_schema()


def outlook_of(text: str, points: Points, history: History, baseline: Outlook) -> Outlook:
    """What `text` proposes for `points` and the steps between them; beyond the last one the baseline.

    A price is plausible within the range of what the history knows, of what is published and of the baseline, with as
    much room again to either side, and at least 100 USD/MWh of it; a carbon intensity from 0 to 2000 g/kWh.

    Args:
        text: anything at all.
        points: that were asked about.
        history: that the question was made from.
        baseline: likewise; finite.
    Raises: NoAnswerError with what is wrong with the text.
    """
    answer = _parsed(text)
    price, carbon = _rows(answer.price_usd_per_mwh), _rows(answer.carbon_g_per_kwh)
    spikes = [answer.spike_probability]
    if any(len(row) != points.size for row in (*price, *carbon, *spikes)):
        raise NoAnswerError(Unusable.WRONG_LENGTH)
    if any(np.any(np.greater(rows[:-1], rows[1:])) for rows in (price, carbon)):
        raise NoAnswerError(Unusable.CROSSED)
    for rows, (lowest, highest) in (
        (price, _plausible_prices(history, baseline)),
        (carbon, (0.0, LARGEST_G_PER_KWH)),
        (spikes, (0.0, 1.0)),
    ):
        if np.min(rows) < lowest or np.max(rows) > highest:
            raise NoAnswerError(Unusable.IMPLAUSIBLE)
    return replace(
        baseline,
        price_usd_per_mwh=_proposed(points, price, baseline.price_usd_per_mwh),
        carbon_g_per_kwh=_proposed(points, carbon, baseline.carbon_g_per_kwh),
        spike_probability=_continued(between(points, np.array(spikes))[0], baseline.spike_probability),
    )


def _parsed(text: str) -> Answer:
    try:
        return Answer.model_validate_json(text)
    except ValidationError as error:
        wrong = {one["type"] for one in error.errors(include_url=False, include_context=False, include_input=False)}
        if "json_invalid" in wrong:
            raise NoAnswerError(Reason.NOT_JSON) from None
        raise NoAnswerError(Unusable.NOT_FINITE if wrong == {"finite_number"} else Reason.WRONG_SHAPE) from None


def _rows(quantiles: Quantiles) -> list[list[float]]:
    return [quantiles.p10, quantiles.p50, quantiles.p90]


def _plausible_prices(history: History, baseline: Outlook) -> tuple[float, float]:
    bands = baseline.price_usd_per_mwh
    told = np.concatenate((history.price_usd_per_mwh, history.published_usd_per_mwh, bands.p10, bands.p90))
    known = told[np.isfinite(told)]
    lowest, highest = float(known.min()), float(known.max())
    room = max(highest - lowest, LEAST_ROOM_USD_PER_MWH)
    return lowest - room, highest + room


def _proposed(points: Points, rows: list[list[float]], baseline: Bands) -> Bands:
    p10, p50, p90 = np.sort(between(points, np.array(rows)), axis=0)  # between two points rounding may cross them
    return Bands(
        p10=_continued(p10, baseline.p10), p50=_continued(p50, baseline.p50), p90=_continued(p90, baseline.p90)
    )


def _continued(proposed: Array, baseline: Array) -> Array:
    return np.concatenate((proposed, baseline[proposed.size :]))
