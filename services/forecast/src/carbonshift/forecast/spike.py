"""What counts as a price spike. Pure."""

import numpy as np

from carbonshift.forecast.forecaster import Array

__all__ = ["spike_threshold"]

SPIKE_QUANTILE = 0.95


def spike_threshold(prices_usd_per_mwh: Array) -> float:
    """The price that 95 % of the known ones do not exceed, in USD/MWh: any above it is a spike.

    Args:
        prices_usd_per_mwh: shape (n,), at least one not NaN.
    Source: quantile type 7 of Hyndman and Fan (1996), numpy's default.
    """
    return float(np.quantile(prices_usd_per_mwh[~np.isnan(prices_usd_per_mwh)], SPIKE_QUANTILE))
