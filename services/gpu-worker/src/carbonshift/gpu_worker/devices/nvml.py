"""NVIDIA boards through NVML, by UUID. Facts: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.gpu_worker.devices.curve import scaled
from carbonshift.gpu_worker.devices.report import DeviceReport, Lack, Rung
from carbonshift.gpu_worker.devices.visible import visible
from carbonshift.gpu_worker.errors import CapRefusedError, DeviceTroubleError
from carbonshift.gpu_worker.meter import Load
from carbonshift.gpu_worker.privilege import CAP_SYS_ADMIN, effective

if TYPE_CHECKING:  # a guard imports this file, and shall stay small
    from carbonshift.gpu_worker.settings import GpuWorkerSettings

__all__ = ["ClockedNvmlDevice", "NvmlBackend", "NvmlDevice"]

REFERENCE_LIMIT_W = 250.0
"""The default limit of the board that the reference curve was measured on."""
LOOK_SECONDS = 0.5
"""How long an energy counter is watched: one that works moves every 10 to 100 ms."""
LOWEST_CLOCK_SHARE = 0.5
"""Of the highest clock: below it a board loses more speed than draw."""
MAY_NOT = "run the worker with CAP_SYS_ADMIN (a container: --cap-add SYS_ADMIN), not the training; until then it pauses"
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
UNINITIALIZED = 1


class NvmlDevice:
    """One NVIDIA board whose limit can be read; the range is one point where it takes none."""

    tells_limit = True

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self.uuid = str(nvml.nvmlDeviceGetUUID(handle))
        self.name = str(nvml.nvmlDeviceGetName(handle))
        pci = self.told(nvml.nvmlDeviceGetPciInfo)
        self.pci_bus_id = None if pci is None else _text(pci.busId)
        self.min_limit_w, self.max_limit_w, self.default_limit_w = self._limits_w()
        self.curve = scaled(RESNET18_V100, self.default_limit_w / REFERENCE_LIMIT_W)
        self._counts = True

    def _limits_w(self) -> tuple[float, float, float]:
        """Lowest, highest and default limit."""
        limit_w = self.power_limit_w()
        span = self.told(self._nvml.nvmlDeviceGetPowerManagementLimitConstraints)
        default = self.told(self._nvml.nvmlDeviceGetPowerManagementDefaultLimit)
        if span is None or default is None:  # a board with a fixed limit
            return limit_w, limit_w, limit_w
        return span[0] / 1_000, span[1] / 1_000, default / 1_000

    @property
    def energy_basis(self) -> EnergyBasis:
        """The counter where it is believed, else its power over time, else what its model says."""
        if self.energy_j() is not None:
            return EnergyBasis.MEASURED
        return EnergyBasis.ESTIMATED if self.power_w() is None else EnergyBasis.INTEGRATED

    def power_w(self) -> float | None:
        """A mean over 1 s on most boards, instantaneous on A100 and older."""
        return _thousandth(self.told(self._nvml.nvmlDeviceGetPowerUsage))

    def energy_j(self) -> float | None:
        """Since the driver was last loaded."""
        return _thousandth(self.told(self._nvml.nvmlDeviceGetTotalEnergyConsumption)) if self._counts else None

    def validate_energy(self) -> None:
        """Some boards report a counter that stands still, or zero."""
        before_j = self.energy_j()
        if before_j is not None:
            time.sleep(LOOK_SECONDS)
            self._counts = self.energy_j() != before_j

    def power_limit_w(self) -> float:
        """The requested limit: what others set, a Slurm prolog say, stands here too."""
        return float(self._asked(self._nvml.nvmlDeviceGetPowerManagementLimit, "tell its power limit")) / 1_000

    def enforced_limit_w(self) -> float | None:
        """Below the requested one where a BMC, say, limits the board too."""
        return _thousandth(self.told(self._nvml.nvmlDeviceGetEnforcedPowerLimit))

    def set_power_limit_w(self, limit_w: float) -> float:
        """By the old call: the newer one of the bindings takes a refusal for a success."""
        limit_mw = round(limit_w * 1_000)
        limit_mw = max(round(self.min_limit_w * 1_000), min(limit_mw, round(self.max_limit_w * 1_000)))
        self._set(f"{limit_w:.0f} W", self._nvml.nvmlDeviceSetPowerManagementLimit, limit_mw)
        return self.power_limit_w()

    def process_ids(self) -> frozenset[int]:
        """Of what computes on it, as the host numbers them."""
        nvml = self._nvml
        for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetComputeRunningProcesses_v2):
            try:
                return frozenset(process.pid for process in ask(self._handle))
            except nvml.NVMLError:
                return frozenset()
            except nvml.NVMLLibraryMismatchError:  # an older library, with an older form alone
                continue
        return frozenset()

    def memory_used_bytes(self) -> int | None:
        """Of all processes."""
        memory = self.told(self._nvml.nvmlDeviceGetMemoryInfo)
        return None if memory is None else int(memory.used)

    def note_load(self, load: Load) -> None:
        """The board knows."""

    @property
    def rung(self) -> Rung:
        """By what it is made to draw less."""
        return Rung.POWER_LIMIT if self.min_limit_w < self.max_limit_w else Rung.PAUSE_ONLY

    def told(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        """What NVML answers; None where this board does not have it, or not now."""
        try:
            return self._again(ask, *arguments)
        except self._nvml.NVMLError:
            return None

    def _asked(self, ask: Callable[..., Any], what: str) -> Any:
        try:
            return self._again(ask)
        except self._nvml.NVMLError as error:
            raise DeviceTroubleError(f"{self.uuid} does not {what}: {error}", "see nvidia-smi -q") from error

    def _set(self, what: str, tell: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._again(tell, *arguments)
        except self._nvml.NVMLError as error:
            problem = f"{self.uuid} refused {what}: {error}"
            if error.value in LASTING:
                no_permission = error.value == self._nvml.NVML_ERROR_NO_PERMISSION
                raise CapRefusedError(problem, MAY_NOT if no_permission else "see `carbonshift doctor`") from error
            raise DeviceTroubleError(problem, "it is tried again; if it stays so see dmesg for Xid errors") from error

    def _again(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        """Ask; where the driver has been loaded anew meanwhile, begin anew with it."""
        try:
            return ask(self._handle, *arguments)
        except self._nvml.NVMLError as error:
            if error.value != UNINITIALIZED:
                raise
            self._nvml.nvmlInit()
            self._handle = self._nvml.nvmlDeviceGetHandleByUUID(self.uuid)
            return ask(self._handle, *arguments)


class ClockedNvmlDevice(NvmlDevice):
    """A board that takes no limit but lets its clocks be locked: its limits are nominal, the highest means free clocks.

    Nobody tells how clocks are locked, so what this process has not set is taken to be free.
    """

    tells_limit = False

    def __init__(self, nvml: Any, handle: Any, limit_w: float, clocks_mhz: list[int]) -> None:
        self._highest_w = self._nominal_w = limit_w
        highest_mhz = max(clocks_mhz)
        self._clocks_mhz = sorted(mhz for mhz in clocks_mhz if mhz >= LOWEST_CLOCK_SHARE * highest_mhz)
        super().__init__(nvml, handle)

    def _limits_w(self) -> tuple[float, float, float]:
        return self._highest_w * self._clocks_mhz[0] / self._clocks_mhz[-1], self._highest_w, self._highest_w

    def power_limit_w(self) -> float:
        """What was last set here."""
        return self._nominal_w

    def set_power_limit_w(self, limit_w: float) -> float:
        """Lock the highest clock that is in the share of the highest one that `limit_w` is of the highest limit."""
        if limit_w >= self._highest_w:
            self._set("free clocks", self._nvml.nvmlDeviceResetGpuLockedClocks)
            self._nominal_w = self._highest_w
        else:
            wished_mhz = limit_w / self._highest_w * self._clocks_mhz[-1]
            mhz = max((clock for clock in self._clocks_mhz if clock <= wished_mhz + 0.5), default=self._clocks_mhz[0])
            self._set(f"{mhz} MHz", self._nvml.nvmlDeviceSetGpuLockedClocks, 0, mhz)
            self._nominal_w = self._highest_w * mhz / self._clocks_mhz[-1]
        return self._nominal_w

    @property
    def rung(self) -> Rung:
        """Its clocks."""
        return Rung.LOCKED_CLOCKS


class NvmlBackend:
    """The boards of this host. NVML stays open: without persistence a GPU's limits end with its last client."""

    name = "nvml"
    outlives_us = True

    def __init__(self, _settings: "GpuWorkerSettings | None" = None) -> None:
        self._nvml: Any = None

    def discover(self) -> list[NvmlDevice]:
        """Those that can be driven and that CUDA_VISIBLE_DEVICES shows, in its order, else in PCI order."""
        return [found for found in self._boards() if isinstance(found, NvmlDevice)]

    def inspect(self) -> list[DeviceReport]:
        """Each board with what it lacks."""
        return [found if isinstance(found, DeviceReport) else self._report(found) for found in self._boards()]

    def _boards(self) -> Iterator[NvmlDevice | DeviceReport]:
        """Each board that is shown, or why it is none; where there are none at all, why."""
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
        found = [self._board(index) for index in range(count)]
        handles = {uuid: handle for uuid, handle in found if handle is not None}
        instances = {instance: uuid for uuid, handle in handles.items() for instance in self._instances(handle)}
        shown = visible([uuid for uuid, _ in found], instances, os.environ.get("CUDA_VISIBLE_DEVICES"))
        if count and not shown:
            lack = Lack(what="CUDA_VISIBLE_DEVICES shows no GPU", remedy="unset it for the worker, or name GPUs in it")
            yield DeviceReport.nothing(self.name, lack)
        for uuid in shown:
            if uuid not in handles:
                yield self._undriven(uuid, None, "it does not answer")
                continue
            try:
                yield self._device(handles[uuid])
            except (nvml.NVMLError, DeviceTroubleError) as error:
                yield self._undriven(uuid, handles[uuid], str(error))

    def _board(self, index: int) -> tuple[str, Any]:
        """UUID and handle; a name and None where the board does not answer."""
        try:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            return str(self._nvml.nvmlDeviceGetUUID(handle)), handle
        except self._nvml.NVMLError:
            return f"GPU {index}", None

    def _device(self, handle: Any) -> NvmlDevice:
        """By the best lever that the board has."""
        nvml = self._nvml
        problem: DeviceTroubleError | None = None
        try:
            device = NvmlDevice(nvml, handle)
        except DeviceTroubleError as error:
            problem = error
        else:
            if device.rung is Rung.POWER_LIMIT:
                return device
        clocks_mhz = self._clocks_mhz(handle)
        limit_w = None
        with suppress(nvml.NVMLError):
            limit_w = nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1_000
        if clocks_mhz and limit_w:
            return ClockedNvmlDevice(nvml, handle, limit_w, clocks_mhz)
        if problem is not None:
            raise problem
        return device

    def _clocks_mhz(self, handle: Any) -> list[int]:
        with suppress(self._nvml.NVMLError):
            memory_mhz = max(self._nvml.nvmlDeviceGetSupportedMemoryClocks(handle))
            return list(self._nvml.nvmlDeviceGetSupportedGraphicsClocks(handle, memory_mhz))
        return []

    def _instances(self, handle: Any) -> list[str]:
        """UUIDs of its MIG instances: limit, power and energy are those of the whole board."""
        nvml, found = self._nvml, []
        with suppress(nvml.NVMLError):
            if nvml.nvmlDeviceGetMigMode(handle)[0]:
                for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                    with suppress(nvml.NVMLError):
                        instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
                        found.append(str(nvml.nvmlDeviceGetUUID(instance)))
        return found

    def _undriven(self, uuid: str, handle: Any, problem: str) -> DeviceReport:
        virtual = False
        if handle is not None:
            with suppress(self._nvml.NVMLError):
                virtual = (
                    self._nvml.nvmlDeviceGetVirtualizationMode(handle) == self._nvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU
                )
        remedy = "it is a vGPU: run the worker on its host" if virtual else "see nvidia-smi -q and dmesg for Xid errors"
        lack = Lack(what=f"{uuid} cannot be driven: {problem}", remedy=remedy)
        return DeviceReport.nothing(self.name, lack)

    def _started(self) -> Any:
        if self._nvml is None:
            import pynvml  # noqa: PLC0415  # loads the driver's library: only where this backend is asked

            self._nvml = pynvml
        self._nvml.nvmlInit()
        return self._nvml

    def _report(self, device: NvmlDevice) -> DeviceReport:
        nvml = self._nvml
        counted = device.energy_j() is not None
        device.validate_energy()
        persistent = device.told(nvml.nvmlDeviceGetPersistenceMode)
        handle = nvml.nvmlDeviceGetHandleByUUID(device.uuid)
        report = DeviceReport(
            backend=self.name,
            uuid=device.uuid,
            name=device.name,
            pci_bus_id=device.pci_bus_id,
            rung=device.rung,
            reads_power=device.power_w() is not None,
            energy_basis=device.energy_basis,
            min_limit_w=device.min_limit_w,
            max_limit_w=device.max_limit_w,
            default_limit_w=device.default_limit_w,
            power_limit_w=device.power_limit_w() if device.tells_limit else None,
            enforced_limit_w=device.enforced_limit_w(),
            locks_clocks=bool(self._clocks_mhz(handle)),
            persistent=None if persistent is None else bool(persistent),
            instances=tuple(self._instances(handle)),
            processes=len(device.process_ids()),
        )
        return _with_lacks(report, frozen=counted and device.energy_j() is None)


def _with_lacks(report: DeviceReport, *, frozen: bool) -> DeviceReport:
    return replace(report, lacks=tuple(_lacks(report, frozen=frozen)))


def _lacks(report: DeviceReport, *, frozen: bool) -> Iterator[Lack]:
    if report.rung is Rung.LOCKED_CLOCKS:
        yield Lack(
            what="it takes no power limit", remedy="nothing to do: its clocks are locked instead, watts estimated"
        )
    if report.rung is Rung.PAUSE_ONLY:
        yield Lack(what="its power limit is fixed", remedy="nothing to do: training is paused and resumed, not capped")
    elif not effective() >> CAP_SYS_ADMIN & 1:
        yield Lack(what="this process may not set power limits or clocks", remedy=MAY_NOT)
    if frozen:
        yield Lack(what="its energy counter stands still", remedy="nothing to do: its power is integrated over time")
    elif report.energy_basis is EnergyBasis.INTEGRATED:
        yield Lack(what="it has no energy counter", remedy="nothing to do: its power is integrated over time")
    elif report.energy_basis is EnergyBasis.ESTIMATED:
        yield Lack(what="it reports neither power nor energy", remedy="its energy is estimated by its power limit")
    if report.persistent is False:
        yield Lack(
            what="persistence is off: limits end with its last client",
            remedy="nvidia-smi -pm 1, or run nvidia-persistenced",
        )
    limit_w, enforced_w = report.power_limit_w, report.enforced_limit_w
    if limit_w is not None and enforced_w is not None and enforced_w < limit_w - 1.0:
        yield Lack(
            what=f"{enforced_w:.0f} W are enforced of {limit_w:.0f} W asked for",
            remedy="another limiter, such as a BMC, holds it: that is left to stand",
        )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _thousandth(value: Any) -> float | None:
    """W of NVML's mW, J of its mJ."""
    return None if value is None else float(value) / 1_000
