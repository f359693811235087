"""CAISO real-time market: the five-minute LMP of a pricing node. https://oasis.caiso.com, PRC_INTVL_LMP version 3."""

from datetime import datetime
from typing import ClassVar

from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.ingest.oasis import REAL_TIME
from carbonshift.ingest.oasis_query import ask, oasis
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import WebPool

__all__ = ["CaisoRealTime"]


class CaisoRealTime:
    """The price of the node `caiso_node`, interval by interval."""

    name: ClassVar[str] = "caiso-rtm"
    signals: ClassVar[frozenset[Signal]] = frozenset({Signal.PRICE})
    interval_seconds = REAL_TIME.interval_seconds
    carbon_basis = CarbonBasis.AVERAGE
    price_market = PriceMarket.REAL_TIME
    time_zone = "America/Los_Angeles"

    def __init__(self, settings: IngestSettings, web: WebPool) -> None:
        self._node = settings.caiso_node
        self._web = oasis(web, settings, self.name)

    async def fetch(self, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
        """USD/MWh; the node says which place, so the region is whatever the caller calls it."""
        del region
        return await ask(self._web, REAL_TIME, self._node, start, end) if signal is Signal.PRICE else []
