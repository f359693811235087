"""Whether a tick can be acted on: what speaks against it, as reason codes. Pure."""

from collections.abc import Iterator

from carbonshift.common.events import GridTick, Quality

__all__ = ["doubts"]


def doubts(tick: GridTick) -> Iterator[str]:
    """A code for each lack, the weightiest first; none where both values can be relied upon."""
    if tick.price_quality is Quality.MISSING or tick.price_usd_per_mwh is None:
        yield "price_missing"
    if tick.carbon_quality is Quality.MISSING or tick.carbon_g_per_kwh is None:
        yield "carbon_missing"
    if tick.issues:
        yield "tick_flagged"
        yield from tick.issues
