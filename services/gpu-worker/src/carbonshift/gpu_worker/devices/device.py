"""What a worker asks of a board, whoever makes it."""

from collections.abc import Sequence
from typing import Protocol

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.power_curve import PowerCurve
from carbonshift.gpu_worker.devices.report import DeviceReport
from carbonshift.gpu_worker.meter import Load

__all__ = ["Backend", "Device"]


class Device(Protocol):
    """One board. Every method may take a driver's time: call it off the event loop.

    What is read raises DeviceTroubleError, or gives None where the board has nothing to tell.
    """

    @property
    def uuid(self) -> str:
        """Stays with the board; an index does not."""

    @property
    def pci_bus_id(self) -> str | None:
        """Where it sits."""

    @property
    def name(self) -> str:
        """Model."""

    @property
    def min_limit_w(self) -> float:
        """The lowest power limit it takes."""

    @property
    def max_limit_w(self) -> float:
        """The highest; the same as the lowest where it takes none."""

    @property
    def default_limit_w(self) -> float:
        """What it boots with: not what to restore."""

    @property
    def tells_limit(self) -> bool:
        """Whether `power_limit_w` is what the board tells, or only what was last set here."""

    @property
    def persistent(self) -> bool | None:
        """Whether its limit stands on when its last client leaves; None where that is no question, or not told."""

    @property
    def curve(self) -> PowerCurve:
        """Draw and speed by limit: a model of the board, or the reference board's scaled to it."""

    @property
    def energy_basis(self) -> EnergyBasis:
        """Where its energy comes from: a counter, its power over time, or its model."""

    def power_w(self) -> float | None:
        """What it draws now."""

    def energy_j(self) -> float | None:
        """Its energy counter; a fall means that the counter began anew."""

    def power_limit_w(self) -> float:
        """The limit that was asked for: the one to capture."""

    def enforced_limit_w(self) -> float | None:
        """The limit it obeys: the lowest of all its limiters."""

    def set_power_limit_w(self, limit_w: float) -> float:
        """Ask for a limit and read back what stands.

        Raises: CapRefusedError where it will not be had, DeviceTroubleError where it may the next time.
        """

    @property
    def can_slow(self) -> bool:
        """Whether its clocks can be locked at their lowest, as far as is known untried. Takes no driver's time."""

    @property
    def epoch(self) -> int:
        """Moves on once its driver was found loaded anew, which frees its clocks. Takes no driver's time."""

    def slow_down(self) -> None:
        """Lock its clocks at their lowest. Limits can be set meanwhile; nominal ones hold from `speed_up` on.

        Raises: CapRefusedError where they cannot be locked, DeviceTroubleError where they may be the next time.
        """

    def speed_up(self) -> None:
        """Free its clocks, or lock them as its limit says where that is clocks.

        Raises: as `slow_down`.
        """

    def without_limit(self) -> "Device | None":
        """The same board by its clocks, where its limit turns out not to be settable; None where they are not either.

        Asked in another process it gives a board of the same range.
        """

    def validate_energy(self) -> None:
        """Watch the energy counter for half a second; one that stands still is not believed from then on."""

    def process_ids(self) -> frozenset[int]:
        """Of the processes that compute on it, as the driver's pid namespace has them."""

    def memory_used_bytes(self) -> int | None:
        """Of all processes on it."""

    def note_load(self, load: Load) -> None:
        """Be told what it does: a model needs to know, a board knows."""


class Backend(Protocol):
    """Where boards are found: what an entry point of `carbonshift.devices` makes of the worker's settings.

    One whose limits outlive us is made of None besides, by the guard, and its module imports little.
    """

    @property
    def name(self) -> str:
        """As registered."""

    @property
    def outlives_us(self) -> bool:
        """Whether a limit stands on when this process ends: then a guard gives it back."""

    def discover(self) -> Sequence[Device]:
        """The boards that can be driven: those whose limit can be read. None is no error."""

    def inspect(self) -> Sequence[DeviceReport]:
        """Every board there is, able or not; where there is none, one report that says why."""
