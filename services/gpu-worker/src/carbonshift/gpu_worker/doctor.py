"""What this host's boards can do, and what to do about what they cannot: for `carbonshift doctor`."""

from carbonshift.common.plugins import plugin_names
from carbonshift.gpu_worker.devices.choice import GROUP, backend
from carbonshift.gpu_worker.devices.report import DeviceReport, Lack
from carbonshift.gpu_worker.settings import GpuWorkerSettings

__all__ = ["DeviceReport", "Lack", "inspect_devices"]


def inspect_devices(settings: GpuWorkerSettings | None = None) -> list[DeviceReport]:
    """A report for each board of each installed backend; a backend without boards says why. It changes nothing.

    Raises: InputError where a setting, or an installed backend, is broken.
    """
    settings = settings or GpuWorkerSettings.load()
    return [report for name in plugin_names(GROUP) for report in backend(name, settings).inspect()]
