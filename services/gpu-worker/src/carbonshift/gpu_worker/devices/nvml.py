"""NVIDIA boards of a host through NVML, by UUID."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from carbonshift.gpu_worker.devices.nvml_board import NvmlBoard, NvmlDevice, instances_of, open_board
from carbonshift.gpu_worker.devices.nvml_link import NvmlLink
from carbonshift.gpu_worker.devices.nvml_report import report_of, why_not
from carbonshift.gpu_worker.devices.report import DeviceReport, Lack
from carbonshift.gpu_worker.devices.visible import visible
from carbonshift.gpu_worker.errors import DeviceTroubleError

if TYPE_CHECKING:  # a guard imports this file, and shall stay small
    from carbonshift.gpu_worker.settings import GpuWorkerSettings

__all__ = ["NvmlBackend"]

log = logging.getLogger(__name__)

NO_ANSWER = "see nvidia-smi -q, and dmesg for Xid errors; a board that was lost is back after a reset or a reboot"


class NvmlBackend:
    """The boards that this process is shown."""

    name = "nvml"
    outlives_us = True

    def __init__(self, _settings: "GpuWorkerSettings | None" = None) -> None:
        self._link: NvmlLink | None = None

    def discover(self) -> list[NvmlDevice]:
        """Those that can be driven and that CUDA_VISIBLE_DEVICES shows, in its order, else in PCI order."""
        boards = list(self._boards())
        driven = [found for found in boards if isinstance(found, NvmlDevice)]
        if driven:  # else whoever asked says why not
            for found in boards:
                if isinstance(found, DeviceReport):
                    log.warning("%s", "; ".join(lack.what for lack in found.lacks))
                elif not isinstance(found, NvmlDevice):
                    log.warning("%s tells no limit: it is not driven", found.uuid)
        return driven

    def inspect(self) -> list[DeviceReport]:
        """Each board with what it lacks."""
        found = list(self._boards())
        with ThreadPoolExecutor(max_workers=len(found)) as pool:  # each takes half a second
            return list(pool.map(self._reported, found))

    def _reported(self, found: NvmlBoard | DeviceReport) -> DeviceReport:
        return found if isinstance(found, DeviceReport) else report_of(self.name, found)

    def _boards(self) -> Iterator[NvmlBoard | DeviceReport]:
        """Each board that is shown, or why it is none; where there are none at all, why."""
        nothing = partial(DeviceReport.nothing, self.name)
        try:
            import pynvml as nvml  # noqa: PLC0415  # only where this backend is asked
        except ImportError:
            yield nothing(Lack(what="no NVML bindings", remedy="pip install nvidia-ml-py"))
            return
        try:
            link, count = self._opened(nvml)
        except nvml.NVMLError as error:
            yield nothing(why_not(error.value, str(error)))
            return
        if not count:
            yield nothing(Lack(what="no NVIDIA GPU", remedy="see whether nvidia-smi lists one"))
            return
        found = [_at(nvml, index) for index in range(count)]
        handles = {uuid: handle for uuid, handle in found if handle is not None}
        instances = {instance: uuid for uuid, handle in handles.items() for instance in instances_of(nvml, handle)}
        shown = visible([uuid for uuid, _ in found], instances, os.environ.get("CUDA_VISIBLE_DEVICES"))
        if not shown:
            yield nothing(
                Lack(what="CUDA_VISIBLE_DEVICES shows no GPU", remedy="unset it for the worker, or name GPUs in it")
            )
        for uuid in shown:
            if uuid not in handles:
                yield nothing(Lack(what=f"{uuid} does not answer", remedy=NO_ANSWER))
                continue
            try:
                yield open_board(link, uuid, handles[uuid])
            except DeviceTroubleError as error:
                yield nothing(Lack(what=f"{uuid} cannot be driven: {error.problem}", remedy=NO_ANSWER))

    def _opened(self, nvml: Any) -> tuple[NvmlLink, int]:
        """NVML, and how many boards it has. Raises: NVMLError."""
        if self._link is None:
            self._link = NvmlLink(nvml)
        try:
            return self._link, nvml.nvmlDeviceGetCount()
        except nvml.NVMLError_Uninitialized:
            self._link.reopen(self._link.epoch)
            return self._link, nvml.nvmlDeviceGetCount()


def _at(nvml: Any, index: int) -> tuple[str, Any]:
    """UUID and handle; a name and None where the board does not answer."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        return str(nvml.nvmlDeviceGetUUID(handle)), handle
    except nvml.NVMLError:
        return f"GPU {index}", None
