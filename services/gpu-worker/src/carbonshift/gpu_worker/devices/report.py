"""What a device can do, and what to do about each thing it cannot."""

from dataclasses import dataclass
from enum import StrEnum

from carbonshift.common.energy_basis import EnergyBasis

__all__ = ["NOT_PERSISTENT", "DeviceReport", "Lack", "Rung"]


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


NOT_PERSISTENT = Lack(
    what="persistence is off: limits end with its last client", remedy="nvidia-smi -pm 1, or run nvidia-persistenced"
)


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
    """As far as this process may go."""
    reads_power: bool = False
    energy_basis: EnergyBasis | None = None
    """MEASURED: its counter was watched, and moved."""
    sets_limit: bool = False
    """Whether this process can set its power limit."""
    nominal: bool = False
    """Whether its limits are estimates: it is driven by its clocks, or cannot be."""
    min_limit_w: float | None = None
    max_limit_w: float | None = None
    default_limit_w: float | None = None
    power_limit_w: float | None = None
    """As asked for, by whomever; the enforced one is what it obeys."""
    enforced_limit_w: float | None = None
    locks_clocks: bool = False
    slows: bool = False
    """Whether this process can lower its clocks while training on it is parked."""
    persistent: bool | None = None
    """Whether its limit outlives its last client."""
    divides: bool | None = None
    """Whether it is in a mode in which it can be divided into instances (MIG)."""
    instances: tuple[str, ...] = ()
    """What it is divided into, by their UUIDs."""
    process_ids: tuple[int, ...] = ()
    """Of what computes on it."""
    lacks: tuple[Lack, ...] = ()

    @classmethod
    def nothing(cls, backend: str, lack: Lack) -> "DeviceReport":
        """No device, and why."""
        return cls(backend=backend, lacks=(lack,))
