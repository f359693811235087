"""Energy and what it cost, which add up. Pure."""

from dataclasses import dataclass, replace
from typing import Self

from carbonshift.common.accounting import Usage
from carbonshift.common.events import CarbonBasis
from carbonshift.gpu_worker.rates import Rate

__all__ = ["Drawn", "Sums"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Adding:
    def __add__(self, other: Self) -> Self:
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn(_Adding):
    """Energy of a span."""

    seconds: float = 0.0
    energy_j: float = 0.0
    parked_j: float = 0.0
    """The part drawn while training waited."""
    error_j: float = 0.0
    """By how much `energy_j` may be off at most."""

    def part(self, share: float) -> "Drawn":
        """So much of the energy of the same seconds: a job's."""
        return Drawn(
            seconds=self.seconds,
            energy_j=self.energy_j * share,
            parked_j=self.parked_j * share,
            error_j=self.error_j * share,
        )

    def stretch(self, share: float) -> "Drawn":
        """So much of the span, drawn evenly."""
        return replace(self.part(share), seconds=self.seconds * share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums(_Adding):
    """As the event `Account` has it, with the energy itself."""

    energy_j: float = 0.0
    error_j: float = 0.0
    parked_j: float = 0.0
    cost_usd: float = 0.0
    marginal_carbon_g: float = 0.0
    average_carbon_g: float = 0.0
    unpriced_j: float = 0.0
    uncounted_j: float = 0.0
    stand_in_j: float = 0.0

    @classmethod
    def of(cls, drawn: Drawn, rate: Rate | None) -> "Sums":
        """What `drawn` cost at `rate`."""
        usage = Usage.of(
            seconds=drawn.seconds,
            energy_j=drawn.energy_j,
            work_seconds=0.0,
            parked=False,
            price_usd_per_mwh=rate.price_usd_per_mwh if rate else None,
            carbon_g_per_kwh=rate.carbon_g_per_kwh if rate else None,
        )
        marginal = rate is not None and rate.carbon_basis is CarbonBasis.MARGINAL
        return cls(
            energy_j=drawn.energy_j,
            error_j=drawn.error_j,
            parked_j=drawn.parked_j,
            cost_usd=usage.cost_usd,
            marginal_carbon_g=usage.carbon_g if marginal else 0.0,
            average_carbon_g=0.0 if marginal else usage.carbon_g,
            unpriced_j=usage.unpriced_j,
            uncounted_j=usage.uncounted_j,
            stand_in_j=drawn.energy_j if rate and rate.stands_in else 0.0,
        )
