"""Prices that a market has published for the steps to come. Pure."""

import numpy as np

from carbonshift.common.events import PriceMarket
from carbonshift.forecast.forecaster import Array, History
from carbonshift.forecast.opinion import PRICE, SPIKE, Opinion

__all__ = ["known_ahead", "with_known"]


def known_ahead(history: History) -> Array:
    """The prices that are known from the origin on, up to the first that is not; of the shape (k,), k >= 0.

    None is in a market whose price is not the published one.
    """
    if history.price_market is not PriceMarket.DAY_AHEAD:
        return np.empty(0)
    ahead = history.published_usd_per_mwh[history.price_usd_per_mwh.size :]
    missing = np.isnan(ahead)
    return ahead[: int(missing.argmax())] if missing.any() else ahead


def with_known(opinion: Opinion, known: Array, threshold_usd_per_mwh: float) -> Opinion:
    """The opinion with known prices in their place: all quantiles are the price, and it is a spike or it is none.

    Args:
        opinion: of all signals, in so many steps.
        known: shape (k,): the first prices; those beyond the steps are of no use.
        threshold_usd_per_mwh: above it a price is a spike.
    """
    price, spike = opinion[PRICE].copy(), opinion[SPIKE].copy()
    told = known[: price.shape[1]]
    price[:, : told.size] = told
    spike[:, : told.size] = told > threshold_usd_per_mwh
    return {**opinion, PRICE: price, SPIKE: spike}
