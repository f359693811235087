"""What is told by a rule that learns nothing, around which lie the errors it has made. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbonshift.forecast.each_signal import Told
from carbonshift.forecast.forecaster import Array, History
from carbonshift.forecast.scores import conformal_bands
from carbonshift.forecast.thinning import thinning

__all__ = ["Rule", "carried", "day_back", "held", "past_origins", "told"]

DAY_SECONDS = 86_400
TRAILING_DAYS = 28
MOST_ERRORS = 1_200
SOUND_SECONDS = 2 * DAY_SECONDS
FEWEST_ERRORS = 20
"""Of each step: with fewer the ranks of p10 and p90 hang on one error."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """What a rule says from here, and what it missed by from past origins, in the unit of the signal."""

    points: Array
    """Of the shape (steps,), finite."""
    errors: Array
    """Of the shape (origins, steps), actual less said; NaN where a step has not passed or is not known."""


def told(rule: Rule, values: Array, step_seconds: int) -> Told | None:
    """The rule with conformal quantiles; None where it has erred too seldom to know by how much.

    With less than two days of values it is degraded: errors of one day are all of the same weather.

    Args:
        rule: what it says and has said.
        values: shape (n,): the history.
        step_seconds: length of an interval.
    """
    if not rule.errors.size or (~np.isnan(rule.errors)).sum(axis=0).min() < FEWEST_ERRORS:
        return None
    return Told(
        bands=conformal_bands(rule.points, rule.errors),
        futures=rule.points + rule.errors,
        degraded=values.size * step_seconds < SOUND_SECONDS,
    )


def past_origins(values: Array, step_seconds: int) -> NDArray[np.int64]:
    """From where the errors of a rule are taken: interval numbers of the last 28 days, thinned out, newest first.

    Args:
        values: shape (n,), NaN where missing: without enough known ones in these days all of the past is taken.
        step_seconds: length of an interval.
    """
    size = values.size
    trailing = min(size, TRAILING_DAYS * DAY_SECONDS // step_seconds)
    since = size - trailing if np.sum(~np.isnan(values[size - trailing :])) > 2 * FEWEST_ERRORS else 0
    return np.arange(size - 1, max(since, 1) - 1, -thinning(size - since, MOST_ERRORS))


def held(values: Array, steps: int, step_seconds: int) -> Rule:
    """The last known value, for every step.

    Args:
        values: shape (n,), NaN where missing, at least one is not.
        steps: at least 1.
        step_seconds: length of an interval.
    """
    last = carried(values)
    origins = past_origins(values, step_seconds)
    errors = _ahead(values, origins, steps) - last[origins - 1, None]
    return Rule(points=np.full(steps, last[-1]), errors=errors)


def day_back(values: Array, history: History, steps: int) -> Rule | None:
    """The value of 24 hours before, or of as many days before as it takes to find one that is known.

    None where that is so of no day for some step.

    Args:
        values: shape (n,), of the history, NaN where missing.
        history: tells the step; a day of it need not be whole steps.
        steps: at least 1.
    """
    day = max(1, round(DAY_SECONDS / history.step_seconds))
    size = values.size
    by_phase = np.empty(size)
    for phase in range(min(day, size)):
        by_phase[phase::day] = carried(values[phase::day])
    back = day * -(-np.arange(1, steps + 1) // day) - np.arange(steps)
    if (back > size).any() or np.isnan(points := by_phase[size - back]).any():
        return None
    origins = past_origins(values, history.step_seconds)
    sources = origins[:, None] - back
    said = np.where(sources >= 0, by_phase[np.maximum(sources, 0)], np.nan)
    return Rule(points=points, errors=_ahead(values, origins, steps) - said)


def carried(values: Array) -> Array:
    """Each missing value as the last known one before it, NaN before the first; shape (n,)."""
    at = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(values.size)))
    known: Array = values[at]
    return known


def _ahead(values: Array, origins: NDArray[np.int64], steps: int) -> Array:
    """What came from each origin on, NaN beyond the end, of the shape (origins, steps)."""
    longer = np.append(values, np.full(steps, np.nan))
    came: Array = longer[origins[:, None] + np.arange(steps)]
    return came
