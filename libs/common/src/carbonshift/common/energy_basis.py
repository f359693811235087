"""Where an energy figure comes from. Apart from the events, so that a guard can know it without them."""

from enum import StrEnum

__all__ = ["EnergyBasis"]


class EnergyBasis(StrEnum):
    """A counter, power over time, an assumption, a device model."""

    MEASURED = "measured"
    INTEGRATED = "integrated"
    ESTIMATED = "estimated"
    MODELLED = "modelled"
