"""From which moments of a tape forecasts are made: a rolling origin, every so many intervals. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.forecasts.hearing import Hearing
from carbonshift.common.errors import InputError

__all__ = ["Rolling", "origins_of"]

Numbers = NDArray[np.int64]

DAY_SECONDS = 86_400
ENOUGH = 3_000
"""So many origins at least, where a tape has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """How far a forecast looks back and ahead, and where they begin."""

    window: int
    """Intervals of history; an origin has all of them behind it."""
    steps: int
    every: int
    """Intervals from one origin to the next."""
    slow_every: int
    """Of the origins a slow model sees every so many-th."""
    origins: Numbers
    """Each the number of the first interval ahead, rising."""

    @property
    def slow_origins(self) -> Numbers:
        """Those of a slow model."""
        return self.origins[:: self.slow_every]


def origins_of(
    heard: Hearing,
    *,
    history_seconds: float,
    horizon_seconds: float,
    every: int | None = None,
    slow_every: int = 7,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Rolling:
    """The origins that have a full window of history behind them and a whole horizon of the tape ahead.

    Args:
        heard: the tape.
        history_seconds: the window; at least one interval.
        horizon_seconds: how far ahead; at least one step.
        every: intervals between two; None: as many as leave 3,000 origins, of every hour of the day in turn.
        slow_every: see Rolling.
        start: no origin before; what lies before is history.
        end: no step ahead at or behind it.

    Raises: InputError where there is no such origin, or of which both signals are known.
    """
    step = heard.step_seconds
    window, steps = max(1, int(history_seconds // step)), max(1, int(horizon_seconds // step))
    first, last = window, heard.size - steps
    if start is not None:
        first = max(first, math.ceil((start.timestamp() - heard.first) / step))
    if end is not None:
        last = min(last, math.floor((end.timestamp() - heard.first) / step) - steps)
    if last < first:
        raise InputError(
            f"no origin has {window * step / DAY_SECONDS:g} days of history behind it and {steps * step / 3_600:g} h"
            f" of it ahead, of {heard.size * step / DAY_SECONDS:g} days",
            "give a longer tape, or a wider --from and --to",
        )
    spacing = every or _spacing(last - first + 1, max(1, round(DAY_SECONDS / step)))
    known = np.concatenate((np.zeros((2, 1)), np.cumsum(~np.isnan(heard.told), axis=1)), axis=1)
    origins = np.arange(first, last + 1, spacing, dtype=np.int64)
    told = (known[:, origins] - known[:, origins - window] > 0).all(axis=0)
    if not told.any():
        raise InputError("price or carbon is missing before every origin", "give a tape with both")
    return Rolling(window=window, steps=steps, every=spacing, slow_every=slow_every, origins=origins[told])


def _spacing(available: int, day: int) -> int:
    """The widest that leaves enough of them and visits every interval of the day: coprime with the day's length."""
    widest = max(1, available // ENOUGH)
    return next(spacing for spacing in range(widest, 0, -1) if math.gcd(spacing, day) == 1)
