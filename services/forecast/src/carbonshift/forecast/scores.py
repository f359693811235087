"""How good forecasts were: errors, calibration, warnings of rare events, and whether a difference is more than chance.

Pure. Wherever an actual value is NaN it is not known, and left out; a score of which nothing is known is NaN.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from carbonshift.forecast.forecaster import Array, Bands

__all__ = [
    "QUANTILES",
    "Comparison",
    "ReliabilityBin",
    "average_precision",
    "brier",
    "conformal_bands",
    "coverage",
    "diebold_mariano",
    "mae",
    "mean_known",
    "mean_pinball",
    "pinball",
    "reliability",
]

QUANTILES = (0.1, 0.5, 0.9)
"""Of the bands, in their order."""
LOW_RANK, HIGH_RANK = QUANTILES[0], QUANTILES[-1]
FEWEST_ORIGINS = 30
"""Of a test: with fewer its statistic is far from a Student's t."""
FEWEST_PER_LAG = 2
"""A mean whose variance is estimated over more lags than half of its terms says nothing."""


def mean_known(values: Array) -> float:
    """The mean of what is not NaN, in the unit of `values`; of any shape, empty too."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def mae(actual: Array, said: Array) -> float:
    """The mean absolute error, in the unit of both.

    Args:
        actual: any shape, NaN where it is not known.
        said: of the same shape.
    """
    return mean_known(np.abs(actual - said))


def pinball(actual: Array, said: Array, quantile: float) -> Array:
    """The loss of each value of a forecast quantile, in the unit of both and of their shape; NaN as in `actual`.

    On average it is least where `said` is that quantile of the actual values; at 0.5 it is half the absolute error.

    Args:
        actual: any shape, NaN where it is not known.
        said: of the same shape.
        quantile: in (0, 1).
    Source: Koenker and Bassett (1978), Regression Quantiles, Econometrica 46.
    """
    missed = actual - said
    loss: Array = np.maximum(quantile * missed, (quantile - 1.0) * missed)
    return loss


def mean_pinball(actual: Array, said: Bands) -> Array:
    """The loss of each value over p10, p50 and p90 together: their mean, in the unit and of the shape of `actual`.

    Args:
        actual: any shape, NaN where it is not known.
        said: bands of the same shape.
    """
    quantiles = (said.p10, said.p50, said.p90)
    loss: Array = np.mean([pinball(actual, q, level) for q, level in zip(quantiles, QUANTILES, strict=True)], axis=0)
    return loss


def coverage(actual: Array, low: Array, high: Array) -> float:
    """The share of the known actual values that lie from `low` to `high`, both ends included: 0.8 for p10 and p90.

    Args:
        actual: any shape, NaN where it is not known.
        low: of the same shape and unit.
        high: likewise.
    """
    return mean_known(np.where(np.isnan(actual), np.nan, (actual >= low) & (actual <= high)))


def brier(occurred: Array, probability: Array) -> float:
    """The mean squared error of a probability: 0 the best, 1 the worst.

    Args:
        occurred: 1 where the event came, 0 where not, NaN where that is not known; any shape.
        probability: of the same shape, in [0, 1].
    Source: Brier (1950), Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 78.
    """
    return mean_known((probability - occurred) ** 2)


def average_precision(occurred: Array, probability: Array) -> float:
    """How well a probability ranks a rare event: the area under precision over recall, as a step function.

    1 where each event has a higher probability than every other case, the share of events where the ranking is chance.
    Cases of one and the same probability are taken together, so their order changes nothing. NaN without an event.

    Args:
        occurred: 1 where the event came, 0 where not, NaN where that is not known; any shape.
        probability: of the same shape.
    Source: Davis and Goadrich (2006), The Relationship Between Precision-Recall and ROC Curves, ICML: no line is drawn
        between two points of the curve.
    """
    known = ~np.isnan(occurred)
    events, ranks = occurred[known], probability[known]
    if not events.any():
        return math.nan
    order = np.argsort(-ranks, kind="stable")
    events, ranks = events[order], ranks[order]
    last_of_its_kind = np.append(ranks[1:] != ranks[:-1], True)
    found = np.cumsum(events)[last_of_its_kind]
    precision = found / (np.flatnonzero(last_of_its_kind) + 1)
    return float(np.sum(np.diff(found, prepend=0.0) * precision) / events.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The cases in which a probability between two edges was said: a calibrated one has both shares alike."""

    count: int
    said: float
    """Their mean probability."""
    occurred: float
    """In which share of them the event came."""


def reliability(occurred: Array, probability: Array, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """Said against seen, in equal bins of probability; those without a case are left out.

    Args:
        occurred: 1 where the event came, 0 where not, NaN where that is not known; any shape.
        probability: of the same shape, in [0, 1].
        bins: at least 1; each has its lower edge, the last one both.
    Source: Murphy and Winkler (1977), Reliability of Subjective Probability Forecasts, Applied Statistics 26.
    """
    known = ~np.isnan(occurred)
    events, said = occurred[known], probability[known]
    which = np.minimum((said * bins).astype(np.int64), bins - 1)
    return tuple(
        ReliabilityBin(count=int(own.sum()), said=float(said[own].mean()), occurred=float(events[own].mean()))
        for own in (which == number for number in range(bins))
        if own.any()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whether one of two forecasts lost less by more than chance."""

    difference: float
    """Mean loss of the first less that of the second, in the unit of the loss: negative where the first is better."""
    statistic: float
    """In standard errors: negative where the first is better; infinite where the difference never varies."""
    p_value: float
    """Of both sides; NaN, as the statistic, where there are too few origins to tell."""
    origins: int
    """In how many both losses are known."""


def diebold_mariano(loss: Array, rival: Array, overlap: int) -> Comparison:
    """The test of Diebold and Mariano for equal accuracy, for forecasts whose horizons overlap.

    The long-run variance is Newey and West's with Bartlett weights, over as many lags as the horizons overlap, and no
    fewer than their rule of thumb for that many origins; Harvey, Leybourne and Newbold's correction for small samples,
    and Student's t with one degree of freedom less than origins. Of fewer than 30 origins it tells nothing.

    Args:
        loss: shape (origins,), one for each, in the order of their time; NaN where it is not known.
        rival: of the same shape: the other forecast's from the same origins.
        overlap: horizon / distance of two origins, rounded up; at least 1.
    Sources: Diebold and Mariano (1995), Comparing Predictive Accuracy, Journal of Business & Economic Statistics 13;
        Newey and West (1987), Econometrica 55, and (1994), Review of Economic Studies 61, for the lags; Harvey,
        Leybourne and Newbold (1997), Testing the Equality of Prediction Mean Squared Errors, International Journal of
        Forecasting 13.
    """
    differences = loss - rival
    differences = differences[~np.isnan(differences)]
    size = differences.size
    lags = max(overlap, math.floor(4 * (size / 100) ** (2 / 9)))
    if size < FEWEST_ORIGINS or size <= FEWEST_PER_LAG * lags:
        return Comparison(difference=mean_known(differences), statistic=math.nan, p_value=math.nan, origins=size)
    difference = float(differences.mean())
    apart = differences - difference
    autocovariances = [float(apart[lag:] @ apart[: size - lag]) / size for lag in range(lags + 1)]
    weights = [1.0] + [2.0 * (1.0 - lag / (lags + 1)) for lag in range(1, lags + 1)]
    variance = math.fsum(w * c for w, c in zip(weights, autocovariances, strict=True)) / size
    correction = math.sqrt((size + 1 - 2 * overlap + overlap * (overlap - 1) / size) / size)
    if math.sqrt(max(variance, 0.0)) <= 1e-12 * float(np.abs(differences).max()):
        statistic = math.copysign(math.inf, difference) if difference else 0.0
    else:
        statistic = correction * difference / math.sqrt(variance)
    p_value = float(2.0 * stdtr(size - 1, -abs(statistic))) if math.isfinite(statistic) else 0.0
    return Comparison(difference=difference, statistic=statistic, p_value=p_value, origins=size)


def conformal_bands(points: Array, errors: Array) -> Bands:
    """Quantiles around a point forecast, by the errors of forecasts made like it: p10, the point itself, p90.

    With exchangeable errors at least eight in ten of the actual values come to lie between p10 and p90, however the
    errors are distributed; where there are fewer than nine of them the widest stand in. The point is never left out.

    Args:
        points: shape (steps,), finite: the p50.
        errors: shape (n, steps), actual less forecast, NaN where it is not known; of each step at least one is.
    Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), Distribution-Free Predictive Inference for
        Regression, JASA 113: ranks of n + 1.
    """
    ordered = np.sort(errors, axis=0)  # NaN last
    counts = np.sum(~np.isnan(errors), axis=0)
    columns = np.arange(points.size)

    def ranked(ranks: NDArray[np.int64]) -> Array:
        chosen: Array = ordered[np.clip(ranks, 1, counts) - 1, columns]
        return chosen

    low = ranked(np.floor(LOW_RANK * (counts + 1) + 1e-9).astype(np.int64))
    high = ranked(np.ceil(HIGH_RANK * (counts + 1) - 1e-9).astype(np.int64))
    return Bands(p10=points + np.minimum(low, 0.0), p50=points, p90=points + np.maximum(high, 0.0))
