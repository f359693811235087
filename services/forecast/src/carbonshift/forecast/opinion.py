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
(1, steps); NaN at steps of which the model says nothing. Of a signal that is not in it it says nothing at all."""


def opinion_of(outlook: Outlook) -> Opinion:
    """That of an outlook, without what it is silent of."""
    price, carbon = _rows(outlook.price_usd_per_mwh), _rows(outlook.carbon_g_per_kwh)
    spike = outlook.spike_probability[None, :].copy()
    if outlook.price_silent.size:
        price[:, outlook.price_silent] = spike[:, outlook.price_silent] = np.nan
    if outlook.carbon_silent.size:
        carbon[:, outlook.carbon_silent] = np.nan
    opinion = {PRICE: price, CARBON: carbon, SPIKE: spike}
    return {signal: rows for signal, rows in opinion.items() if not np.isnan(rows).all()}


def _rows(bands: Bands) -> Array:
    return np.stack((bands.p10, bands.p50, bands.p90))
