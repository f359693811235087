"""NVIDIA boards through NVML, by UUID. Facts: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.gpu_worker.devices.curve import scaled
from carbonshift.gpu_worker.devices.report import DeviceReport, Lack
from carbonshift.gpu_worker.errors import CapRefusedError, DeviceTroubleError
from carbonshift.gpu_worker.meter import Load

if TYPE_CHECKING:  # a guard imports this file, and shall stay small
    from carbonshift.gpu_worker.settings import GpuWorkerSettings

__all__ = ["NvmlBackend", "NvmlDevice"]

REFERENCE_LIMIT_W = 250.0
"""The default limit of the board that the reference curve was measured on."""
CAP_SYS_ADMIN = 21  # linux/capability.h
MAY_NOT = "run the worker with CAP_SYS_ADMIN (a container: --cap-add SYS_ADMIN); until then it pauses but does not cap"
NO_LIBRARY = "install the NVIDIA driver; in a container start it with --gpus all"
REMEDIES = {
    9: "load the NVIDIA driver (modprobe nvidia), or reboot after installing it",
    12: NO_LIBRARY,
    13: "update the NVIDIA driver: it is older than this program expects",
    18: "reboot, or reload the NVIDIA driver: it was updated while it ran",
    999: "restart the container: it has lost the device (systemctl daemon-reload on the host does that)",
}
"""By NVML's return code, for what keeps NVML from starting."""
LASTING = frozenset({2, 3, 4})
"""Return codes of a refusal that will be the same the next time: invalid argument, not supported, no permission."""


class NvmlDevice:
    """One NVIDIA board whose limit can be read."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self.uuid = str(nvml.nvmlDeviceGetUUID(handle))
        self.name = str(nvml.nvmlDeviceGetName(handle))
        self.pci_bus_id: str | None = None
        limit_w = self.power_limit_w()
        try:
            low, high = nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
            default = nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle)
        except nvml.NVMLError:  # a board with a fixed limit
            self.min_limit_w = self.max_limit_w = self.default_limit_w = limit_w
        else:
            self.min_limit_w, self.max_limit_w, self.default_limit_w = low / 1_000, high / 1_000, default / 1_000
        self.curve = scaled(RESNET18_V100, self.default_limit_w / REFERENCE_LIMIT_W)
        if self.energy_j() is not None:
            self.energy_basis = EnergyBasis.MEASURED
        else:
            self.energy_basis = EnergyBasis.ESTIMATED if self.power_w() is None else EnergyBasis.INTEGRATED

    def power_w(self) -> float | None:
        """A mean over 1 s on most boards, instantaneous on A100 and older."""
        return _thousandth(self._told(self._nvml.nvmlDeviceGetPowerUsage))

    def energy_j(self) -> float | None:
        """Since the driver was last loaded."""
        return _thousandth(self._told(self._nvml.nvmlDeviceGetTotalEnergyConsumption))

    def power_limit_w(self) -> float:
        """The requested limit: what others set, a Slurm prolog say, stands here too."""
        try:
            return float(self._nvml.nvmlDeviceGetPowerManagementLimit(self._handle)) / 1_000
        except self._nvml.NVMLError as error:
            raise DeviceTroubleError(
                f"{self.uuid} does not tell its power limit: {error}", "see nvidia-smi -q"
            ) from error

    def enforced_limit_w(self) -> float | None:
        """Below the requested one where a BMC, say, limits the board too."""
        return _thousandth(self._told(self._nvml.nvmlDeviceGetEnforcedPowerLimit))

    def set_power_limit_w(self, limit_w: float) -> float:
        """By the old call: the newer one of the bindings takes a refusal for a success."""
        nvml = self._nvml
        limit_mw = round(limit_w * 1_000)
        limit_mw = max(round(self.min_limit_w * 1_000), min(limit_mw, round(self.max_limit_w * 1_000)))
        try:
            nvml.nvmlDeviceSetPowerManagementLimit(self._handle, limit_mw)
        except nvml.NVMLError as error:
            problem = f"{self.uuid} refused {limit_w:.0f} W: {error}"
            if error.value in LASTING:
                no_permission = error.value == nvml.NVML_ERROR_NO_PERMISSION
                raise CapRefusedError(problem, MAY_NOT if no_permission else "see `carbonshift doctor`") from error
            raise DeviceTroubleError(problem, "it is tried again; if it stays so see dmesg for Xid errors") from error
        return self.power_limit_w()

    def validate_energy(self) -> None:
        """Watch the counter for half a second."""

    def process_ids(self) -> frozenset[int]:
        """Of what computes on it."""
        return frozenset()

    def memory_used_bytes(self) -> int | None:
        """Of all processes."""
        memory = self._told(self._nvml.nvmlDeviceGetMemoryInfo)
        return None if memory is None else int(memory.used)

    def note_load(self, load: Load) -> None:
        """The board knows."""

    def _told(self, ask: Callable[[Any], Any]) -> Any:
        """What NVML answers; None where this board does not have it, or not now."""
        try:
            return ask(self._handle)
        except self._nvml.NVMLError:
            return None


class NvmlBackend:
    """The boards of this host. NVML stays open: without persistence a GPU's limits end with its last client."""

    name = "nvml"
    outlives_us = True

    def __init__(self, _settings: "GpuWorkerSettings | None" = None, nvml: Any = None) -> None:
        self._nvml = nvml

    def discover(self) -> list[NvmlDevice]:
        """Those whose limit can be read, in PCI order."""
        return [found for found in self._boards() if isinstance(found, NvmlDevice)]

    def inspect(self) -> list[DeviceReport]:
        """Each board with what it lacks."""
        may_set = _may_set_limits()
        return [found if isinstance(found, DeviceReport) else self._report(found, may_set) for found in self._boards()]

    def _boards(self) -> Iterator[NvmlDevice | DeviceReport]:
        """Each board, or why it is none; where there are none at all, why."""
        try:
            nvml = self._started()
            count = nvml.nvmlDeviceGetCount()
        except ImportError:
            yield DeviceReport.nothing(self.name, Lack(what="no NVML bindings", remedy="pip install nvidia-ml-py"))
            return
        except self._nvml.NVMLError as error:
            remedy = REMEDIES.get(error.value, "see whether nvidia-smi works on this host")
            yield DeviceReport.nothing(self.name, Lack(what=f"NVML does not start: {error}", remedy=remedy))
            return
        if not count:
            yield DeviceReport.nothing(self.name, Lack(what="no NVIDIA GPU", remedy="see whether nvidia-smi lists one"))
        for index in range(count):
            try:
                yield NvmlDevice(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
            except (nvml.NVMLError, DeviceTroubleError) as error:
                lack = Lack(
                    what=f"GPU {index} cannot be driven: {error}",
                    remedy="a vGPU, a MIG instance or a laptop may have no power limit to it: leave it to the host",
                )
                yield DeviceReport.nothing(self.name, lack)

    def _started(self) -> Any:
        if self._nvml is None:
            import pynvml  # noqa: PLC0415  # loads the driver's library: only where this backend is asked

            self._nvml = pynvml
        self._nvml.nvmlInit()
        return self._nvml

    def _report(self, device: NvmlDevice, may_set: bool) -> DeviceReport:  # noqa: FBT001  # one caller
        power, energy = device.power_w() is not None, device.energy_basis is EnergyBasis.MEASURED
        takes_limits = device.min_limit_w < device.max_limit_w
        return DeviceReport(
            backend=self.name,
            uuid=device.uuid,
            name=device.name,
            reads_power=power,
            reads_energy=energy,
            reads_limit=True,
            sets_limit=takes_limits and may_set,
            min_limit_w=device.min_limit_w,
            max_limit_w=device.max_limit_w,
            default_limit_w=device.default_limit_w,
            power_limit_w=device.power_limit_w(),
            lacks=tuple(_lacks(power=power, energy=energy, takes_limits=takes_limits, may_set=may_set)),
        )


def _lacks(*, power: bool, energy: bool, takes_limits: bool, may_set: bool) -> Iterator[Lack]:
    if not takes_limits:
        yield Lack(what="its power limit is fixed", remedy="nothing to do: training is paused and resumed, not capped")
    elif not may_set:
        yield Lack(what="this process may not set power limits", remedy=MAY_NOT)
    if not power and not energy:
        yield Lack(what="it reports neither power nor energy", remedy="its energy is estimated by its power limit")
    elif not energy:
        yield Lack(what="it has no energy counter", remedy="nothing to do: its power is integrated over time")


def _may_set_limits(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has CAP_SYS_ADMIN, which the driver asks for at each set; elsewhere than on Linux false."""
    try:
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
        return bool(int(fields["CapEff"], 16) >> CAP_SYS_ADMIN & 1)
    except (OSError, KeyError, ValueError):
        return False


def _thousandth(value: Any) -> float | None:
    """W of NVML's mW, J of its mJ."""
    return None if value is None else float(value) / 1_000
