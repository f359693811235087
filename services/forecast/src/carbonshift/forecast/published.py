"""Prices that a market has published for the steps to come. Pure."""

import numpy as np

from carbonshift.forecast.forecaster import Array, History

__all__ = ["known_ahead"]


def known_ahead(history: History) -> Array:
    """The published prices from the origin on, up to the first that is not published; of the shape (k,), k >= 0."""
    ahead = history.published_usd_per_mwh[history.price_usd_per_mwh.size :]
    missing = np.isnan(ahead)
    return ahead[: int(missing.argmax())] if missing.any() else ahead
