"""What a source of grid data is. A source of your own is one class in one file."""

from datetime import datetime
from typing import ClassVar, Protocol

from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings

__all__ = ["GridSource"]


class GridSource(Protocol):
    """Gives readings of one or more signals, on a grid of fixed intervals."""

    name: ClassVar[str]
    signals: ClassVar[frozenset[Signal]]
    interval_seconds: int
    carbon_basis: CarbonBasis
    """Of its carbon, where it gives carbon."""
    price_market: PriceMarket
    """Of its prices, where it gives prices."""

    def __init__(self, settings: IngestSettings) -> None:
        """Take what it needs from the settings; open nothing yet. Raises: InputError where something is missing."""

    async def fetch(self, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
        """The readings with start <= interval_start < end, oldest first, each interval once.

        Price in USD/MWh, carbon in g/kWh. What the source does not have is left out.

        Raises: TransientError where another try may help, CarbonShiftError where none will.
        """
