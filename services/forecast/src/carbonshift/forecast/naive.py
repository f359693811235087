"""What is told by a rule that learns nothing, around which lie the errors it has made. Pure."""

from dataclasses import dataclass

import numpy as np

from carbonshift.forecast.each_signal import Told
from carbonshift.forecast.forecaster import Array, History
from carbonshift.forecast.scores import conformal_bands
from carbonshift.forecast.thinning import thinning

__all__ = ["Rule", "day_back", "held", "told"]

DAY_SECONDS = 86_400
TRAILING_DAYS = 28
MOST_ERRORS = 1_200
FEWEST_ERRORS = 20
"""Of each step: with fewer the ranks of p10 and p90 hang on one error."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """What a rule says from here, and what it missed by from every past origin, in the unit of the signal."""

    points: Array
    """Of the shape (steps,), finite."""
    errors: Array
    """Of the shape (origins, steps), actual less said; NaN where a step has not passed or is not known."""


def told(rule: Rule, step_seconds: int) -> Told | None:
    """The rule with conformal quantiles of its last 28 days; None where it has erred too seldom to know by how much."""
    if rule.errors.shape[0] < FEWEST_ERRORS or (~np.isnan(rule.errors)).sum(axis=0).min() < FEWEST_ERRORS:
        return None
    errors = _recent(rule.errors, step_seconds)
    return Told(bands=conformal_bands(rule.points, errors), futures=rule.points + errors)


def _recent(errors: Array, step_seconds: int) -> Array:
    """Those of the trailing days, the newest first, thinned out where they are many; all where these are too few."""
    count = min(errors.shape[0], TRAILING_DAYS * DAY_SECONDS // step_seconds)
    recent = errors[errors.shape[0] - count :][:: -thinning(count, MOST_ERRORS)]
    enough = (~np.isnan(recent)).sum(axis=0).min() >= FEWEST_ERRORS
    return recent if enough else errors


def held(values: Array, steps: int) -> Rule:
    """The last known value, for every step.

    Args:
        values: shape (n,), NaN where missing, at least one is not.
        steps: at least 1.
    """
    last = _carried(values)
    ahead = np.lib.stride_tricks.sliding_window_view(np.append(values, np.full(steps, np.nan)), steps)
    return Rule(points=np.full(steps, last[-1]), errors=ahead[1:-1] - last[:-1, None])


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
    carried = np.empty(size)
    for phase in range(min(day, size)):
        carried[phase::day] = _carried(values[phase::day])
    days_back = -(-np.arange(1, steps + 1) // day)
    sources = size + np.arange(steps) - day * days_back
    if sources.min() < 0 or np.isnan(points := carried[sources]).any():
        return None
    errors = np.full((size, steps), np.nan)
    for days in np.unique(days_back):
        behind = day * int(days)
        errors[behind:, days_back == days] = (values[behind:] - carried[: size - behind])[:, None]
    return Rule(points=points, errors=errors)


def _carried(values: Array) -> Array:
    """Each missing value as the last known one before it, NaN before the first; shape (n,)."""
    at = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(values.size)))
    carried: Array = values[at]
    return carried
