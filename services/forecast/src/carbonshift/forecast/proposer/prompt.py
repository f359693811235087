"""What a model is asked: numbers, enumerations and times alone, so that no text of others can give it orders. Pure."""

import json
import math
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import numpy as np

from carbonshift.common.events import CarbonBasis
from carbonshift.common.paid_model import Question
from carbonshift.forecast.forecaster import Array, Bands, History, Outlook
from carbonshift.forecast.proposer.points import Points

__all__ = ["question_of"]

PAST_SECONDS = 86_400
MOST_PAST_VALUES = 96
DIGITS, PROBABILITY_DIGITS = 1, 2
LARGEST_WHOLE = 1e9
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SYSTEM = """\
You forecast the price of electricity and its carbon intensity in one region of a grid.
The user's message is one JSON object of data. null is unknown. In it:
- past: the last day up to now, oldest first, each value the mean of minutes_each minutes.
- minutes_ahead: the intervals to forecast, each by when it starts.
- baseline: what a statistical model forecasts for them: quantiles, and the probability of a spike, which is a price
  above spike_above_usd_per_mwh. Depart from it where the data give a reason to, and keep to it elsewhere.
- published_usd_per_mwh, where there are any: day-ahead prices of those intervals. Where price_market is day-ahead they
  are the very prices asked for; where it is real-time they are those of another market.
- provided_g_per_kwh, where there is any: what the provider of the carbon data expects.
Answer with exactly one number for each of minutes_ahead, in its order, in every list, and in each p10 <= p50 <= p90:
the values that the price, or the carbon intensity, stays below with a probability of 10, 50 and 90 percent.
A price may be negative, a carbon intensity may not. A probability lies between 0 and 1."""


def question_of(history: History, baseline: Outlook, carbon_basis: CarbonBasis, points: Points) -> Question:
    """The question what price and carbon do at `points`.

    Raises: KeyError, ValueError, OSError where the region's time zone is none.
    """
    zone = ZoneInfo(history.time_zone)
    local = history.origin.astimezone(zone)
    recent = max(1, PAST_SECONDS // history.step_seconds)
    each = math.ceil(min(recent, history.price_usd_per_mwh.size) / MOST_PAST_VALUES)
    asked = {
        "now": local.isoformat(timespec="minutes"),
        "weekday": WEEKDAYS[local.weekday()],
        "time_zone": zone.key,
        "price_market": history.price_market.value,
        "carbon_basis": carbon_basis.value,
        "past": {
            "minutes_each": _number(each * history.step_seconds / 60),
            "price_usd_per_mwh": _numbers(_thinned(history.price_usd_per_mwh[-recent:], each)),
            "carbon_g_per_kwh": _numbers(_thinned(history.carbon_g_per_kwh[-recent:], each)),
        },
        "minutes_ahead": _numbers(points * history.step_seconds / 60),
        "baseline": {
            "price_usd_per_mwh": _bands(baseline.price_usd_per_mwh, points),
            "carbon_g_per_kwh": _bands(baseline.carbon_g_per_kwh, points),
            "spike_probability": _numbers(baseline.spike_probability[points], PROBABILITY_DIGITS),
        },
        "spike_above_usd_per_mwh": _number(baseline.spike_threshold_usd_per_mwh),
    }
    published = _at(points, history.published_usd_per_mwh[history.price_usd_per_mwh.size :])
    provided = _at(points, history.provided_g_per_kwh)
    if np.isfinite(published).any():
        asked["published_usd_per_mwh"] = _numbers(published)
    if np.isfinite(provided).any():
        asked["provided_g_per_kwh"] = _numbers(provided)
    return Question(system=SYSTEM, user=json.dumps(asked, separators=(",", ":"), allow_nan=False))


def _thinned(values: Array, each: int) -> Array:
    """The mean of what is known in each group of `each` values; the last group ends with the last value."""
    padded = np.concatenate((np.full(-values.size % each, np.nan), values)).reshape(-1, each)
    known = np.isfinite(padded)
    sums, counts = np.where(known, padded, 0.0).sum(axis=1), known.sum(axis=1)
    thinned: Array = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return thinned


def _at(points: Points, ahead: Array) -> Array:
    """The values at `points`; NaN beyond the end."""
    return np.array([ahead[point] if point < ahead.size else np.nan for point in points])


def _bands(bands: Bands, points: Points) -> dict[str, list[float | None]]:
    return {name: _numbers(getattr(bands, name)[points]) for name in ("p10", "p50", "p90")}


def _numbers(values: Iterable[float], digits: int = DIGITS) -> list[float | None]:
    return [_number(value, digits) for value in values]


def _number(value: float, digits: int = DIGITS) -> float | None:
    """As short as it can be written."""
    if not math.isfinite(value):
        return None
    rounded = round(float(value), digits)
    return int(rounded) if rounded.is_integer() and abs(rounded) < LARGEST_WHOLE else rounded
