"""What one model says of the signals it speaks of, as arrays. Pure."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from carbonshift.forecast.forecaster import Array, Bands, Outlook

__all__ = ["CARBON", "PRICE", "SIGNALS", "SPIKE", "Opinion", "opinion_of"]

PRICE: Final = "price"
CARBON: Final = "carbon"
SPIKE: Final = "spike"
SIGNALS: Final = (PRICE, CARBON, SPIKE)

Opinion = Mapping[str, Array]
"""By signal: p10, p50 and p90 of price and carbon, of the shape (3, steps), the probability of a spike, of the shape
(1, steps). A signal that is not in it is one of which the model says nothing."""


def opinion_of(outlook: Outlook) -> Opinion:
    """That of a model which speaks of everything."""
    return {
        PRICE: _rows(outlook.price_usd_per_mwh),
        CARBON: _rows(outlook.carbon_g_per_kwh),
        SPIKE: outlook.spike_probability[None, :],
    }


def _rows(bands: Bands) -> Array:
    return np.stack((bands.p10, bands.p50, bands.p90))
