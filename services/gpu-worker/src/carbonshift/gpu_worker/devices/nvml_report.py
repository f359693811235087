"""What an NVIDIA board can do here, and what to do about each thing it cannot."""

from collections.abc import Iterator
from dataclasses import replace

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.gpu_worker.devices.nvml_board import MAY_NOT, NominalNvmlDevice, NvmlBoard, NvmlDevice
from carbonshift.gpu_worker.devices.report import NOT_PERSISTENT, DeviceReport, Lack, Rung
from carbonshift.gpu_worker.privilege import CAP_SYS_ADMIN, effective

__all__ = ["report_of", "why_not"]

INTEGRATED = "nothing to do: its power is integrated over time"
ESTIMATED = "nothing to do: its energy is estimated by its power limit"
SEE_XID = "see nvidia-smi -q, and dmesg for Xid errors"
REMEDIES = {
    9: "load the NVIDIA driver (modprobe nvidia), or reboot after installing it",
    12: "install the NVIDIA driver; in a container start it with --gpus all",
    13: "update the NVIDIA driver: it is older than this program expects",
    18: "reboot, or reload the NVIDIA driver: it was updated while it ran",
    999: "restart the container: it has lost the device (systemctl daemon-reload on the host does that)",
}
"""By NVML's return code, for what keeps NVML from starting."""


def why_not(code: int, problem: str) -> Lack:
    """NVML did not start."""
    return Lack(
        what=f"NVML does not start: {problem}", remedy=REMEDIES.get(code, "see whether nvidia-smi works on this host")
    )


def report_of(backend: str, board: NvmlBoard) -> DeviceReport:
    """All of it; takes half a second, in which its energy counter is watched."""
    board.validate_energy()
    may = bool(effective() >> CAP_SYS_ADMIN & 1)
    rung = board.rung if may or board.rung is Rung.OBSERVE_ONLY else Rung.PAUSE_ONLY
    basis = board.energy_basis
    report = DeviceReport(
        backend=backend,
        uuid=board.uuid,
        name=board.name,
        pci_bus_id=board.pci_bus_id,
        rung=rung,
        reads_power=board.power_w() is not None,
        energy_basis=basis if isinstance(board, NvmlDevice) or basis is not EnergyBasis.ESTIMATED else None,
        sets_limit=rung is Rung.POWER_LIMIT,
        power_limit_w=board.requested_limit_w(),
        enforced_limit_w=board.enforced_limit_w(),
        locks_clocks=bool(board.lockable_mhz),
        persistent=board.persistent,
        divides=board.divides,
        instances=board.instances,
        process_ids=tuple(sorted(board.process_ids())),
    )
    if isinstance(board, NvmlDevice):
        report = replace(
            report,
            nominal=isinstance(board, NominalNvmlDevice),
            min_limit_w=board.min_limit_w,
            max_limit_w=board.max_limit_w,
            slows=may and board.can_slow,
            default_limit_w=board.default_limit_w,
        )
    lacks = (*_levers(board, may=may), *_energy(report, board), *_limits(report))
    return replace(report, lacks=lacks)


def _levers(board: NvmlBoard, *, may: bool) -> Iterator[Lack]:
    if board.rung is Rung.OBSERVE_ONLY:
        virtual = "it is a vGPU: run the worker on its host" if board.is_virtual else SEE_XID
        yield Lack(what="it tells no limit, so it is not driven", remedy=virtual)
    elif board.rung is Rung.LOCKED_CLOCKS:
        yield Lack(
            what="it takes no power limit, as most laptops",
            remedy="nothing to do: its clocks are locked instead, the watts of its limits are estimates",
        )
    elif board.rung is Rung.PAUSE_ONLY:
        yield Lack(what="its power limit is fixed", remedy="nothing to do: training is paused and resumed, not capped")
    if board.rung in (Rung.POWER_LIMIT, Rung.LOCKED_CLOCKS) and not may:
        yield Lack(what="this process may not set power limits or clocks", remedy=MAY_NOT)


def _energy(report: DeviceReport, board: NvmlBoard) -> Iterator[Lack]:
    if board.energy_stands_still:
        remedy = INTEGRATED if report.reads_power else ESTIMATED
        yield Lack(what="its energy counter stands still", remedy=remedy)
    elif report.energy_basis is EnergyBasis.INTEGRATED:
        yield Lack(what="it has no energy counter", remedy=INTEGRATED)
    elif report.energy_basis is EnergyBasis.ESTIMATED:
        yield Lack(what="it reports neither power nor energy", remedy=ESTIMATED)
    elif report.energy_basis is None:
        yield Lack(what="it reports neither power nor energy", remedy="only its host can count its energy")


def _limits(report: DeviceReport) -> Iterator[Lack]:
    if report.persistent is False:
        yield NOT_PERSISTENT
    limit_w, enforced_w = report.power_limit_w, report.enforced_limit_w
    if limit_w is not None and enforced_w is not None and enforced_w < limit_w - 1.0:
        yield Lack(
            what=f"{enforced_w:.0f} W are enforced of {limit_w:.0f} W asked for",
            remedy="another limiter, such as a BMC, holds it: that is left to stand",
        )
