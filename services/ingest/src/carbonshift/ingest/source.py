"""What a source of grid data is. A source of your own is one class in one file."""

from datetime import datetime
from typing import ClassVar, Protocol

from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import WebPool

__all__ = ["GridSource"]


class GridSource(Protocol):
    """Gives readings of one or more signals, on a grid of fixed intervals."""

    name: ClassVar[str]
    interval_seconds: int
    carbon_basis: CarbonBasis
    """Of its carbon, where it gives carbon."""
    price_market: PriceMarket
    """Of its prices, where it gives prices."""
    time_zone: str
    """IANA name of the clock by which its market's days begin."""

    @property
    def signals(self) -> frozenset[Signal]:
        """What it tells; a plain attribute will do."""

    def __init__(self, settings: IngestSettings, web: WebPool) -> None:
        """Take what it needs; open nothing yet. Raises: InputError where a setting is missing."""

    async def fetch(self, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
        """The readings with start <= interval_start < end, oldest first, each interval once.

        Price in USD/MWh, carbon in g/kWh. What the source does not have is left out.

        Raises: SourceUnavailableError where another try may help, SourceRefusedError where none will.
        """
