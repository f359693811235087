"""Energy, cost and carbon of work, summed in one way everywhere: in a worker, a report and a backtest."""

from collections.abc import Iterable
from dataclasses import dataclass

from carbonshift.common.events import GridTick

__all__ = ["J_PER_KWH", "J_PER_MWH", "Usage", "newest_revisions"]

J_PER_KWH = 3.6e6
J_PER_MWH = 3.6e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a span of time took and what it brought; spans add up with `+`.

    A span whose price or carbon is not known counts its energy in `unpriced_j` or `uncounted_j`, never as free.
    """

    seconds: float = 0.0
    energy_j: float = 0.0
    parked_energy_j: float = 0.0
    """The part of `energy_j` drawn while training waited."""
    work_seconds: float = 0.0
    """Work done, in seconds at full power."""
    cost_usd: float = 0.0
    carbon_g: float = 0.0
    unpriced_j: float = 0.0
    uncounted_j: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})

    @classmethod
    def of(
        cls,
        *,
        seconds: float,
        energy_j: float,
        work_seconds: float,
        parked: bool,
        price_usd_per_mwh: float | None,
        carbon_g_per_kwh: float | None,
    ) -> "Usage":
        """The usage of one span with one price and one carbon intensity; None = not known."""
        return cls(
            seconds=seconds,
            energy_j=energy_j,
            parked_energy_j=energy_j if parked else 0.0,
            work_seconds=work_seconds,
            cost_usd=0.0 if price_usd_per_mwh is None else energy_j / J_PER_MWH * price_usd_per_mwh,
            carbon_g=0.0 if carbon_g_per_kwh is None else energy_j / J_PER_KWH * carbon_g_per_kwh,
            unpriced_j=energy_j if price_usd_per_mwh is None else 0.0,
            uncounted_j=energy_j if carbon_g_per_kwh is None else 0.0,
        )


def newest_revisions(ticks: Iterable[GridTick]) -> list[GridTick]:
    """What came to be known of each interval of one region, in their order: an account is settled by that."""
    newest = {tick.interval_start: tick for tick in sorted(ticks, key=lambda tick: tick.revision)}
    return [newest[moment] for moment in sorted(newest)]
