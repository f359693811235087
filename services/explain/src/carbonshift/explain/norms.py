"""Where price and carbon stand between the trailing quantiles that a transition tells. Pure."""

from carbonshift.common.events import TransitionFacts

__all__ = ["norms_of"]


def norms_of(price: float, carbon: float, facts: TransitionFacts) -> tuple[float, float] | None:
    """Of the price (USD/MWh) and of the carbon intensity (g/kWh), each in [0, 1]; None without the quantiles."""
    bands = (
        (price, facts.price_low_usd_per_mwh, facts.price_high_usd_per_mwh),
        (carbon, facts.carbon_low_g_per_kwh, facts.carbon_high_g_per_kwh),
    )
    norms = [
        min(max((value - low) / (high - low), 0.0), 1.0)
        for value, low, high in bands
        if low is not None and high is not None and low < high
    ]
    return (norms[0], norms[1]) if len(norms) == len(bands) else None
