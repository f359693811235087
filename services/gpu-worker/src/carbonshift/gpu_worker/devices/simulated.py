"""A board that is a model: draw and speed as the reference board's, for laptops, tests and fleets yet to be."""

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.power_curve import RESNET18_V100, PowerCurve
from carbonshift.gpu_worker.devices.report import DeviceReport, Rung
from carbonshift.gpu_worker.errors import CapRefusedError
from carbonshift.gpu_worker.meter import Load, modelled_draw_w
from carbonshift.gpu_worker.settings import GpuWorkerSettings

__all__ = ["SimulatedBackend", "SimulatedDevice"]


class SimulatedDevice:
    """One board in the memory of this process. It holds its limit and what it does; time is the meter's."""

    name = f"simulated {RESNET18_V100.name}"
    min_limit_w = 100.0
    max_limit_w = 250.0
    default_limit_w = 250.0
    energy_basis = EnergyBasis.MODELLED
    pci_bus_id = None
    tells_limit = True
    persistent = None
    can_slow = False
    epoch = 0

    def __init__(self, uuid: str, curve: PowerCurve = RESNET18_V100) -> None:
        self.uuid, self.curve = uuid, curve
        self._limit_w = self.default_limit_w
        self._load = Load.IDLE

    def power_w(self) -> float:
        """By the curve, for what it was told it does."""
        return modelled_draw_w(self.curve, self._load, self._limit_w)

    def energy_j(self) -> None:
        """It has no counter: the meter makes its energy of its power and event time."""

    def without_limit(self) -> None:
        """Its limit can be set."""

    def validate_energy(self) -> None:
        """It has no counter to watch."""

    def process_ids(self) -> frozenset[int]:
        """No process computes on it."""
        return frozenset()

    def power_limit_w(self) -> float:
        """The limit last set."""
        return self._limit_w

    def enforced_limit_w(self) -> float:
        """Nothing else limits it."""
        return self._limit_w

    def set_power_limit_w(self, limit_w: float) -> float:
        """Refuses what lies outside the range, as NVML does."""
        if not self.min_limit_w <= limit_w <= self.max_limit_w:
            raise CapRefusedError(
                f"{self.uuid} refused {limit_w:g} W: its range is {self.min_limit_w:g}-{self.max_limit_w:g} W",
                "map the setpoint to the board's range",
            )
        self._limit_w = limit_w
        return limit_w

    def slow_down(self) -> None:
        """It has no clocks: nobody knows what low ones would save on it."""
        raise CapRefusedError(f"{self.uuid} has no clocks", "nothing to do: it is parked as it is")

    def speed_up(self) -> None:
        """It has no clocks."""

    def memory_used_bytes(self) -> None:
        """It has no memory."""

    def note_load(self, load: Load) -> None:
        """What its draw is modelled by."""
        self._load = load


class SimulatedBackend:
    """Always has one board, named after its worker."""

    name = "simulated"
    outlives_us = False

    def __init__(self, settings: GpuWorkerSettings) -> None:
        self._uuid = f"SIM-{settings.worker}"

    def discover(self) -> list[SimulatedDevice]:
        """A new board at its default limit."""
        return [SimulatedDevice(self._uuid)]

    def inspect(self) -> list[DeviceReport]:
        """It can do everything, since nothing is real."""
        device = SimulatedDevice(self._uuid)
        return [
            DeviceReport(
                backend=self.name,
                uuid=device.uuid,
                name=device.name,
                rung=Rung.POWER_LIMIT,
                reads_power=True,
                energy_basis=device.energy_basis,
                min_limit_w=device.min_limit_w,
                max_limit_w=device.max_limit_w,
                default_limit_w=device.default_limit_w,
                power_limit_w=device.power_limit_w(),
            )
        ]
