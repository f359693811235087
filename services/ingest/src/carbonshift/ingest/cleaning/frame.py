"""What all ticks of a feed have in common."""

from dataclasses import dataclass

from carbonshift.common.events import CarbonBasis, PriceMarket, Replay

__all__ = ["Frame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One region as one feed tells it."""

    region: str
    interval_seconds: int
    """Of the ticks: the shorter one of both signals."""
    price_seconds: int
    """Of the interval that one price holds for; a multiple of `interval_seconds`."""
    carbon_seconds: int
    carbon_basis: CarbonBasis
    price_market: PriceMarket
    price_source: str
    carbon_source: str
    replay: Replay | None = None
