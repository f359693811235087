"""What counts as a price spike. Pure."""

import numpy as np

from carbonshift.forecast.forecaster import History

__all__ = ["spike_threshold"]

SPIKE_QUANTILE = 0.95
TRAILING_SECONDS = 28 * 86_400
"""Of a longer history no more: what was dear in another season is not what is dear now."""


def spike_threshold(history: History) -> float:
    """The price that 95 % of the known ones of the last 28 days do not exceed, in USD/MWh: any above it is a spike.

    Where none of these days is known, those before them stand in.

    Args:
        history: with at least one known price.
    Source: quantile type 7 of Hyndman and Fan (1996), numpy's default.
    """
    prices = history.price_usd_per_mwh
    trailing = prices[-max(1, TRAILING_SECONDS // history.step_seconds) :]
    if np.isnan(trailing).all():
        trailing = prices
    return float(np.quantile(trailing[~np.isnan(trailing)], SPIKE_QUANTILE))
