"""Which boards a worker drives."""

import logging
from collections.abc import Sequence

from carbonshift.common.errors import InputError
from carbonshift.common.plugins import load_plugin
from carbonshift.gpu_worker.devices.device import Backend, Device
from carbonshift.gpu_worker.devices.report import Lack
from carbonshift.gpu_worker.settings import GpuWorkerSettings

__all__ = ["GROUP", "backend", "choose_devices"]

GROUP = "carbonshift.devices"
AUTO = ("nvml", "simulated")

log = logging.getLogger(__name__)


def backend(name: str, settings: GpuWorkerSettings) -> Backend:
    """The backend registered as `name`. Raises InputError."""
    made: Backend = load_plugin(GROUP, name)(settings)
    return made


def choose_devices(settings: GpuWorkerSettings) -> tuple[Backend, Sequence[Device]]:
    """The backend and the boards that `settings` ask for: one by its UUID, else all that it finds.

    Raises: InputError where there is none, with what the backend says about it.
    """
    names = AUTO if settings.device_backend == "auto" else (settings.device_backend,)
    lacks: list[Lack] = []
    for name in names:
        source = backend(name, settings)
        devices = source.discover()
        wanted = [device for device in devices if settings.device_uuid in (None, device.uuid)]
        if wanted:
            if lacks:
                why = "; ".join(lack.what for lack in lacks)
                log.warning("no board to drive by %s (%s), going on with %s", AUTO[0], why, wanted[0].uuid)
            return source, wanted
        if devices:
            found = ", ".join(device.uuid for device in devices)
            raise InputError(
                f"CARBONSHIFT_DEVICE_UUID={settings.device_uuid}: {name} has no such board", f"it has {found}"
            )
        lacks += [lack for report in source.inspect() for lack in report.lacks]
    problem = "; ".join(lack.what for lack in lacks) or "no board to drive"
    remedy = "; ".join(lack.remedy for lack in lacks) or "set CARBONSHIFT_DEVICE_BACKEND=simulated to go on without one"
    raise InputError(f"{', '.join(names)}: {problem}", remedy)
