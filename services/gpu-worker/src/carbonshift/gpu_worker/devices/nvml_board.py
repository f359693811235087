"""An NVIDIA board by its UUID. Facts: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.gpu_worker.devices.curve import scaled
from carbonshift.gpu_worker.devices.nvml_link import NvmlLink
from carbonshift.gpu_worker.devices.report import Rung
from carbonshift.gpu_worker.errors import CapRefusedError, DeviceTroubleError, LimitUnsupportedError
from carbonshift.gpu_worker.meter import Load
from carbonshift.gpu_worker.setpoint import REFERENCE_LIMIT_W

__all__ = ["MAY_NOT", "NominalNvmlDevice", "NvmlBoard", "NvmlDevice", "instances_of", "open_board"]

LOOK_SECONDS = 0.5
"""How long an energy counter is watched: one that works moves every 10 to 100 ms."""
MOVES_W = 1.0
"""Above this draw it has to move meanwhile; a laptop's board that sleeps draws less."""
LOWEST_CLOCK_SHARE = 0.5
"""Of the highest clock: below it a board loses more speed than draw."""
VOLTA = 5
"""The first architecture whose clocks can be locked; older boards list clocks too."""
MAY_NOT = "run the worker with CAP_SYS_ADMIN (a container: --cap-add SYS_ADMIN), not the training; until then it pauses"
SET_LIMIT = "nvmlDeviceSetPowerManagementLimit"
LOCK_CLOCKS, FREE_CLOCKS = "nvmlDeviceSetGpuLockedClocks", "nvmlDeviceResetGpuLockedClocks"
UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND = 1, 2, 3, 4, 13
STALE = frozenset({UNINITIALIZED, INVALID_ARGUMENT})
"""Return codes of a handle from before the driver, or its persistence mode on some boards, changed."""
LASTING = frozenset({INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND})
"""Return codes of a refusal that will be the same the next time."""
ABSENT = frozenset({NOT_SUPPORTED, FUNCTION_NOT_FOUND})
"""Return codes of what this board, or this driver, does not have."""


class NvmlBoard:
    """What any board can be asked; None is what it does not tell."""

    rung = Rung.OBSERVE_ONLY
    """By what it can be made to draw less, if this process may."""

    def __init__(self, link: NvmlLink, uuid: str, handle: Any) -> None:
        self.uuid = uuid
        self._link, self._handle, self._epoch = link, handle, link.epoch
        self._nvml = link.nvml
        self.name = str(self.told("nvmlDeviceGetName") or "NVIDIA GPU")
        pci = self.told("nvmlDeviceGetPciInfo")
        self.pci_bus_id = None if pci is None else _text(pci.busId)
        self._counts = True

    @property
    def epoch(self) -> int:
        """Of the driver, as this board has met it."""
        return self._epoch

    @property
    def energy_basis(self) -> EnergyBasis:
        """The counter where it is believed, else its power over time, else what its model says."""
        if self.energy_j() is not None:
            return EnergyBasis.MEASURED
        return EnergyBasis.ESTIMATED if self.power_w() is None else EnergyBasis.INTEGRATED

    def power_w(self) -> float | None:
        """A mean over 1 s on most boards, instantaneous on A100 and older."""
        return _thousandth(self.told("nvmlDeviceGetPowerUsage"))

    def energy_j(self) -> float | None:
        """Since the driver was last loaded."""
        return _thousandth(self.told("nvmlDeviceGetTotalEnergyConsumption")) if self._counts else None

    def validate_energy(self) -> None:
        """Some boards report a counter that stands still, or zero."""
        before_j = self.energy_j()
        if before_j is not None:
            time.sleep(LOOK_SECONDS)
            power_w = self.power_w()
            sleeps = power_w is not None and power_w < MOVES_W
            self._counts = sleeps or self.energy_j() != before_j

    @property
    def energy_stands_still(self) -> bool:
        """Whether its counter was found to be of no use."""
        return not self._counts

    def requested_limit_w(self) -> float | None:
        """What was asked for, by whomever."""
        return _thousandth(self.told("nvmlDeviceGetPowerManagementLimit"))

    def enforced_limit_w(self) -> float | None:
        """Below the requested one where a BMC, say, limits the board too."""
        return _thousandth(self.told("nvmlDeviceGetEnforcedPowerLimit"))

    def process_ids(self) -> frozenset[int]:
        """Of what computes on it, as the host numbers them."""
        for ask in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetComputeRunningProcesses_v2"):
            try:
                return frozenset(process.pid for process in self.told(ask) or ())
            except self._nvml.NVMLLibraryMismatchError:  # no NVMLError: an older library, with an older form alone
                continue
        return frozenset()

    def memory_used_bytes(self) -> int | None:
        """Of all processes."""
        memory = self.told("nvmlDeviceGetMemoryInfo")
        return None if memory is None else int(memory.used)

    def note_load(self, load: Load) -> None:
        """The board knows."""

    @property
    def persistent(self) -> bool | None:
        """Whether its limit stands on when its last client leaves."""
        mode = self.told("nvmlDeviceGetPersistenceMode")
        return None if mode is None else bool(mode)

    @property
    def divides(self) -> bool | None:
        """Whether MIG is on."""
        mode = self.told("nvmlDeviceGetMigMode")
        return None if mode is None else bool(mode[0])

    @property
    def instances(self) -> tuple[str, ...]:
        """UUIDs of its MIG instances."""
        return tuple(self.told(lambda handle: instances_of(self._nvml, handle)) or ())

    @property
    def is_virtual(self) -> bool:
        """Whether it is a share of a board that a hypervisor has."""
        return bool(self.told("nvmlDeviceGetVirtualizationMode") == self._nvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU)

    @property
    def lockable_mhz(self) -> list[int]:
        """Graphics clocks that it can be held to, lowest first; none below Volta."""
        memory_mhz = self.told("nvmlDeviceGetSupportedMemoryClocks")
        if not memory_mhz or (self.told("nvmlDeviceGetArchitecture") or VOLTA) < VOLTA:
            return []
        return sorted(self.told("nvmlDeviceGetSupportedGraphicsClocks", max(memory_mhz)) or ())

    def told(self, ask: str | Callable[..., Any], *arguments: Any) -> Any:
        """What NVML answers; None where this board does not have it, or not now."""
        with suppress(self._nvml.NVMLError):
            return self._ask(ask, *arguments)
        return None

    def asked(self, ask: str, what: str, *arguments: Any) -> Any:
        """What NVML answers; None where this board does not have it. Raises: DeviceTroubleError where not now."""
        try:
            return self._ask(ask, *arguments)
        except self._nvml.NVMLError as error:
            if error.value in ABSENT:
                return None
            raise DeviceTroubleError(f"{self.uuid} does not {what}: {error}", "see nvidia-smi -q") from error

    def _ask(self, ask: str | Callable[..., Any], *arguments: Any) -> Any:
        """Ask; where the driver has been loaded anew meanwhile, begin anew with it."""
        call: Callable[..., Any] = getattr(self._nvml, ask) if isinstance(ask, str) else ask
        epoch = self._link.epoch
        if self._epoch == epoch:
            try:
                return call(self._handle, *arguments)
            except self._nvml.NVMLError as error:
                if error.value not in STALE:
                    raise
                if error.value == UNINITIALIZED:
                    self._link.reopen(epoch)
        epoch = self._link.epoch
        self._handle, self._epoch = self._nvml.nvmlDeviceGetHandleByUUID(self.uuid), epoch
        return call(self._handle, *arguments)

    def _set(self, what: str, tell: str, *arguments: Any) -> None:
        try:
            self._ask(tell, *arguments)
        except self._nvml.NVMLError as error:
            problem = f"{self.uuid} refused {what}: {error}"
            if error.value in LASTING:
                remedy = MAY_NOT if error.value == NO_PERMISSION else "see `carbonshift doctor`"
                unsupported = tell == SET_LIMIT and error.value in ABSENT
                raise (LimitUnsupportedError if unsupported else CapRefusedError)(problem, remedy) from error
            raise DeviceTroubleError(problem, "it is tried again; if it stays so see dmesg for Xid errors") from error


class NvmlDevice(NvmlBoard):
    """A board whose limit can be read; the range is one point where it takes none."""

    tells_limit = True

    def __init__(self, link: NvmlLink, uuid: str, handle: Any) -> None:
        super().__init__(link, uuid, handle)
        self.min_limit_w, self.max_limit_w, self.default_limit_w = self._limits_w()
        self.curve = scaled(RESNET18_V100, self.default_limit_w / REFERENCE_LIMIT_W)
        self.rung = self._lever()
        clocks_mhz = [] if self.is_virtual else self.lockable_mhz
        self._lowest_mhz = clocks_mhz[0] if len(clocks_mhz) > 1 else None
        self._slowed_in_epoch: int | None = None

    def _limits_w(self) -> tuple[float, float, float]:
        """Lowest, highest and default limit."""
        span = self.asked("nvmlDeviceGetPowerManagementLimitConstraints", "tell its range")
        default_mw = self.asked("nvmlDeviceGetPowerManagementDefaultLimit", "tell its default limit")
        if span is None:
            limit_w = self.power_limit_w()
            return limit_w, limit_w, limit_w
        return span[0] / 1_000, span[1] / 1_000, (span[1] if default_mw is None else default_mw) / 1_000

    def _lever(self) -> Rung:
        return Rung.POWER_LIMIT if self.min_limit_w < self.max_limit_w else Rung.PAUSE_ONLY

    def power_limit_w(self) -> float:
        """The requested limit: what others set, a Slurm prolog say, stands here too."""
        limit_mw = self.asked("nvmlDeviceGetPowerManagementLimit", "tell its power limit")
        if limit_mw is None:
            raise DeviceTroubleError(f"{self.uuid} does not tell its power limit any more", "see nvidia-smi -q")
        return float(limit_mw) / 1_000

    def set_power_limit_w(self, limit_w: float) -> float:
        """By the old call: the newer one of the bindings takes a refusal for a success."""
        limit_mw = round(limit_w * 1_000)
        limit_mw = max(round(self.min_limit_w * 1_000), min(limit_mw, round(self.max_limit_w * 1_000)))
        self._set(f"{limit_w:.0f} W", SET_LIMIT, limit_mw)
        return self.power_limit_w()

    @property
    def can_slow(self) -> bool:
        """Where it is more than paused, and has clocks to lock."""
        return self._lowest_mhz is not None and self.rung in (Rung.POWER_LIMIT, Rung.LOCKED_CLOCKS)

    def slow_down(self) -> None:
        """Whoever locked them before us has to do so again: nobody tells how."""
        if not self.can_slow:
            raise CapRefusedError(f"{self.uuid} has no clocks to lock", "nothing to do: it is parked as it is")
        self._set(f"{self._lowest_mhz} MHz", LOCK_CLOCKS, self._lowest_mhz, self._lowest_mhz)
        self._slowed_in_epoch = self._epoch

    def speed_up(self) -> None:
        """A power limit is no matter of clocks."""
        self._set("free clocks", FREE_CLOCKS)
        self._slowed_in_epoch = None

    def without_limit(self) -> "NominalNvmlDevice | None":
        """In shares of the limit that it boots with, the same for agent and guard; what stands may change meanwhile."""
        clocks_mhz = self.lockable_mhz
        if not clocks_mhz or self.is_virtual:
            return None
        counts = not self.energy_stands_still
        other = NominalNvmlDevice(
            *(self._link, self.uuid, self._handle, self.default_limit_w, clocks_mhz),
            counts=counts,
            slowed_in_epoch=self._slowed_in_epoch,
        )
        return other if other.rung is Rung.LOCKED_CLOCKS else None


class NominalNvmlDevice(NvmlDevice):
    """A board that takes no limit: its limits are nominal, the highest means free clocks, each other one locked ones.

    Nobody tells how clocks are locked, so what this process has not set is taken to be free. Where they cannot be
    locked either the range is one point.
    """

    tells_limit = False

    def __init__(
        self,
        link: NvmlLink,
        uuid: str,
        handle: Any,
        free_w: float,
        clocks_mhz: list[int],
        *,
        counts: bool = True,
        slowed_in_epoch: int | None = None,
    ) -> None:
        self._free_w = self._nominal_w = free_w
        self._clocks_mhz = [mhz for mhz in clocks_mhz if mhz >= LOWEST_CLOCK_SHARE * clocks_mhz[-1]]
        self._set_in_epoch = link.epoch
        super().__init__(link, uuid, handle)
        self._counts, self._slowed_in_epoch = counts, slowed_in_epoch

    def _limits_w(self) -> tuple[float, float, float]:
        lowest_share = self._clocks_mhz[0] / self._clocks_mhz[-1] if self._clocks_mhz else 1.0
        return self._free_w * lowest_share, self._free_w, self._free_w

    def _lever(self) -> Rung:
        return Rung.LOCKED_CLOCKS if len(self._clocks_mhz) > 1 else Rung.PAUSE_ONLY

    def without_limit(self) -> None:
        """There is no other lever left."""

    def power_limit_w(self) -> float:
        """What was last set here; a driver that was loaded anew has freed the clocks."""
        self.asked("nvmlDeviceGetUUID", "answer")
        return self._nominal_w if self._set_in_epoch == self._epoch else self._free_w

    def set_power_limit_w(self, limit_w: float) -> float:
        """Lock the highest clock that is in the share of the highest one that `limit_w` is of the highest limit."""
        mhz = self._clock_mhz(limit_w)
        self.power_limit_w()  # after it the epoch is the driver's
        if self._slowed_in_epoch != self._epoch:
            self._lock(mhz)
        self._nominal_w = self._free_w if mhz is None else self._free_w * mhz / self._clocks_mhz[-1]
        self._set_in_epoch = self._epoch
        return self._nominal_w

    def speed_up(self) -> None:
        """To what its limit says, as that stands by now."""
        self._lock(self._clock_mhz(self.power_limit_w()))
        self._slowed_in_epoch = None

    def _clock_mhz(self, limit_w: float) -> int | None:
        """The highest clock that `limit_w` lets it have; None = free."""
        if limit_w >= self._free_w or not self._clocks_mhz:
            return None
        wished_mhz = limit_w / self._free_w * self._clocks_mhz[-1]
        return max((clock for clock in self._clocks_mhz if clock <= wished_mhz + 0.5), default=self._clocks_mhz[0])

    def _lock(self, mhz: int | None) -> None:
        if mhz is None:
            self._set("free clocks", FREE_CLOCKS)
        else:
            self._set(f"{mhz} MHz", LOCK_CLOCKS, 0, mhz)


def open_board(link: NvmlLink, uuid: str, handle: Any) -> NvmlBoard:
    """The board by the best lever that it has; one whose limit nobody knows is only watched.

    Raises: DeviceTroubleError where it does not say now.
    """
    board: NvmlBoard = NvmlBoard(link, uuid, handle)
    if board.asked("nvmlDeviceGetPowerManagementLimit", "tell its power limit"):
        board = NvmlDevice(link, uuid, handle)
    if board.rung is Rung.POWER_LIMIT:
        return board
    clocks_mhz, free_w = board.lockable_mhz, _free_w(board)
    if free_w and not board.is_virtual and (clocks_mhz or board.rung is Rung.OBSERVE_ONLY):
        return NominalNvmlDevice(link, uuid, handle, free_w, clocks_mhz)
    return board


def _free_w(board: NvmlBoard) -> float | None:
    """What it may draw with free clocks; the enforced limit of a laptop comes and goes with its mains."""
    default_mw = board.told("nvmlDeviceGetPowerManagementDefaultLimit")
    return _thousandth(default_mw) or board.enforced_limit_w()


def instances_of(nvml: Any, handle: Any) -> list[str]:
    """UUIDs of the MIG instances of a board: limit, power and energy are those of the whole board."""
    found: list[str] = []
    with suppress(nvml.NVMLError):
        if nvml.nvmlDeviceGetMigMode(handle)[0]:
            for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                with suppress(nvml.NVMLError):
                    instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
                    found.append(str(nvml.nvmlDeviceGetUUID(instance)))
    return found


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _thousandth(value: Any) -> float | None:
    """W of NVML's mW, J of its mJ."""
    return None if value is None else float(value) / 1_000
