"""Ticks out of the readings of price and carbon: one an interval, nothing without a flag. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Quality, Replay
from carbonshift.ingest.reading import Reading

__all__ = ["Frame", "assemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all ticks of a feed have in common."""

    region: str
    interval_seconds: int
    carbon_basis: CarbonBasis
    price_market: PriceMarket
    price_source: str
    carbon_source: str
    replay: Replay | None = None


def assemble(
    frame: Frame,
    prices: Iterable[Reading],
    carbon: Iterable[Reading],
    start: datetime,
    end: datetime,
    observed_at: datetime | None = None,
) -> list[GridTick]:
    """The ticks of every interval that begins in [start, end), `start` being the beginning of one.

    An interval for which a signal has no reading, or one of None, has that signal as missing.

    Args:
        frame: region, step, provenance.
        prices: USD/MWh, any order; of two for one interval the later counts.
        carbon: g/kWh, likewise.
        start: UTC.
        end: UTC.
        observed_at: when the source was read; None = at the beginning of each interval, as a replay has it.
    """
    price_at = {reading.interval_start: reading.value for reading in prices}
    carbon_at = {reading.interval_start: reading.value for reading in carbon}
    step = timedelta(seconds=frame.interval_seconds)
    return [
        GridTick(
            region=frame.region,
            interval_start=moment,
            interval_seconds=frame.interval_seconds,
            price_usd_per_mwh=price_at.get(moment),
            carbon_g_per_kwh=carbon_at.get(moment),
            carbon_basis=frame.carbon_basis,
            price_quality=_quality(price_at.get(moment)),
            carbon_quality=_quality(carbon_at.get(moment)),
            price_market=frame.price_market,
            price_source=frame.price_source,
            carbon_source=frame.carbon_source,
            observed_at=observed_at or moment,
            replay=frame.replay,
        )
        for moment in (start + step * index for index in range(-(-(end - start) // step)))
    ]


def _quality(value: float | None) -> Quality:
    return Quality.MISSING if value is None else Quality.OBSERVED
