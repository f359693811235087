"""What a device can do, and what to do about each thing it cannot."""

from dataclasses import dataclass
from enum import StrEnum

from carbonshift.common.energy_basis import EnergyBasis

__all__ = ["DeviceReport", "Lack", "Rung"]


class Rung(StrEnum):
    """By what a board is made to draw less, best first."""

    POWER_LIMIT = "power limit"
    LOCKED_CLOCKS = "locked clocks"
    PAUSE_ONLY = "pause only"
    OBSERVE_ONLY = "observe only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One thing that is missing."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """One device as its backend sees it; without a `uuid` it speaks of the backend, which found none.

    None is what the board does not tell.
    """

    backend: str
    uuid: str | None = None
    name: str = ""
    pci_bus_id: str | None = None
    rung: Rung = Rung.OBSERVE_ONLY
    reads_power: bool = False
    energy_basis: EnergyBasis | None = None
    min_limit_w: float | None = None
    max_limit_w: float | None = None
    default_limit_w: float | None = None
    power_limit_w: float | None = None
    enforced_limit_w: float | None = None
    locks_clocks: bool = False
    persistent: bool | None = None
    """Whether its limit outlives its last client."""
    instances: tuple[str, ...] = ()
    """What it is divided into, by their UUIDs."""
    processes: int = 0
    """That compute on it."""
    lacks: tuple[Lack, ...] = ()

    @classmethod
    def nothing(cls, backend: str, lack: Lack) -> "DeviceReport":
        """No device, and why."""
        return cls(backend=backend, lacks=(lack,))
