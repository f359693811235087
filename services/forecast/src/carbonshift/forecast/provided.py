"""The provider's own forecast as an opinion: its numbers, with the spread of a baseline around them. Pure."""

import numpy as np

from carbonshift.forecast.forecaster import History, Outlook
from carbonshift.forecast.opinion import CARBON, Opinion

__all__ = ["PROVIDER", "provider_opinion"]

PROVIDER = "provider"
"""Its name among the models."""
MOST_CARBON_G_PER_KWH = 2_000.0
"""More no power plant emits: such a number is in another unit."""


def provider_opinion(history: History, baseline: Outlook) -> Opinion | None:
    """None where it says nothing; a step of which it does not speak is the baseline's.

    How far its numbers are off is not known here: that they weigh less when they are far off is up to the blend.
    """
    steps = baseline.carbon_g_per_kwh.p50.size
    said = np.full(steps, np.nan)
    told = history.provided_g_per_kwh[:steps]
    said[: told.size] = np.where(told <= MOST_CARBON_G_PER_KWH, told, np.nan)
    if np.isnan(said).all():
        return None
    bands = baseline.carbon_g_per_kwh
    apart = np.where(np.isnan(said), 0.0, said - bands.p50)
    return {CARBON: np.maximum(np.stack((bands.p10, bands.p50, bands.p90)) + apart, 0.0)}
