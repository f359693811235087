"""An outlook out of what is told of price and carbon, each on its own, with something that stands in. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from carbonshift.forecast.errors import NoSignalError
from carbonshift.forecast.forecaster import Array, Bands, History, Outlook
from carbonshift.forecast.scenarios import bands, persistence
from carbonshift.forecast.spike import spike_threshold

__all__ = ["STALE_SECONDS", "Tell", "Told", "bridged", "outlook"]

STALE_SECONDS = 3_600
"""With nothing newer than this a forecast starts from a value that is no longer true."""
STILL_SECONDS = 86_400
FEWEST_STILL = 8
"""Of long intervals so many must be alike: two days of one price are no standstill."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What is told of one signal, in its unit."""

    bands: Bands
    futures: Array
    """Equally likely ones, of the shape (futures, steps); NaN where one does not say; of each step one does."""
    degraded: bool = False


Tell = Callable[[Array, History, int], Told | None]
"""What a model tells of one signal, given its values (NaN = missing, at least one is not), the history and the steps
ahead; None where they do not suffice for the model."""


def outlook(history: History, steps: int, price: Tell, carbon: Tell) -> Outlook:
    """Both signals, and the chance of a spike; the last value and its past moves for what cannot be told.

    Where they stand in, where the newest known value is older than an hour, and where a signal has not moved for a day,
    it is degraded: a source that is stuck looks most certain.

    Raises: NoSignalError where price or carbon has no known value at all.
    """
    found, still = {}, False
    for signal, values, tell in (
        ("price", history.price_usd_per_mwh, price),
        ("carbon", history.carbon_g_per_kwh, carbon),
    ):
        whole = bridged(signal, values)
        found[signal] = tell(values, history, steps) or _stand_in(whole, steps)
        still |= _stands_still(values, history.step_seconds)
    known = ~np.isnan(np.stack((history.price_usd_per_mwh, history.carbon_g_per_kwh)))
    age_seconds = int(known[:, ::-1].argmax(axis=1).max()) * history.step_seconds
    threshold = spike_threshold(history)
    futures, said = found["price"].futures, found["carbon"].bands
    says = ~np.isnan(futures)
    return Outlook(
        price_usd_per_mwh=found["price"].bands,
        carbon_g_per_kwh=Bands(
            p10=np.maximum(said.p10, 0.0), p50=np.maximum(said.p50, 0.0), p90=np.maximum(said.p90, 0.0)
        ),
        spike_probability=np.sum(says & (futures > threshold), axis=0) / says.sum(axis=0),
        spike_threshold_usd_per_mwh=threshold,
        degraded=found["price"].degraded or found["carbon"].degraded or still or age_seconds > STALE_SECONDS,
    )


def bridged(signal: str, values: Array) -> Array:
    """The values with what is missing on a straight line between its neighbours, and held at both ends.

    Args:
        signal: its name, for the error.
        values: shape (n,), NaN where missing.

    Raises: NoSignalError where all are missing.
    """
    known = ~np.isnan(values)
    if not known.any():
        raise NoSignalError(f"of {signal} nothing is known", "see which source stopped: its ticks carry no value")
    return np.interp(np.arange(values.size), np.flatnonzero(known), values[known])


def _stands_still(values: Array, step_seconds: int) -> bool:
    trailing = values[-max(STILL_SECONDS // step_seconds, FEWEST_STILL) :]
    trailing = trailing[~np.isnan(trailing)]
    return bool(trailing.size and np.ptp(trailing) <= 1e-9 * np.abs(trailing).max())


def _stand_in(whole: Array, steps: int) -> Told:
    futures = persistence(whole, steps)
    return Told(bands=bands(futures), futures=futures, degraded=True)
