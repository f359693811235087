"""What a device can do, and what to do about each thing it cannot."""

from dataclasses import dataclass

__all__ = ["DeviceReport", "Lack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One thing that is missing."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """One device as its backend sees it; without a `uuid` it speaks of the backend, which found none."""

    backend: str
    uuid: str | None
    name: str
    reads_power: bool
    reads_energy: bool
    reads_limit: bool
    sets_limit: bool
    """The board takes limits, and this process may set them."""
    min_limit_w: float | None = None
    max_limit_w: float | None = None
    default_limit_w: float | None = None
    power_limit_w: float | None = None
    lacks: tuple[Lack, ...] = ()

    @classmethod
    def nothing(cls, backend: str, lack: Lack) -> "DeviceReport":
        """No device, and why."""
        return cls(
            backend=backend,
            uuid=None,
            name="",
            reads_power=False,
            reads_energy=False,
            reads_limit=False,
            sets_limit=False,
            lacks=(lack,),
        )
