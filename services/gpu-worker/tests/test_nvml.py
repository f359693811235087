"""The NVML backend against a driver that answers as boards are known to; NVML's own error classes."""

from types import SimpleNamespace

import pynvml
import pytest

from carbonshift.common.events import EnergyBasis
from carbonshift.gpu_worker.devices.nvml import NvmlBackend, _may_set_limits
from carbonshift.gpu_worker.errors import CapRefusedError, DeviceTroubleError
from carbonshift.gpu_worker.settings import GpuWorkerSettings

H100 = {"limits": (200_000, 700_000), "default": 700_000, "limit": 650_000, "enforced": 500_000}


class Driver:
    """What stands in for libnvidia-ml: boards by index, each call able to fail by its return code."""

    NVMLError = pynvml.NVMLError
    NVML_ERROR_NO_PERMISSION = pynvml.NVML_ERROR_NO_PERMISSION

    def __init__(self, *boards: dict, init_error: int | None = None) -> None:
        self.boards, self.init_error = boards, init_error

    def nvmlInit(self):  # noqa: N802
        if self.init_error:
            raise pynvml.NVMLError(self.init_error)

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return self.boards[index]

    def nvmlDeviceGetUUID(self, board):  # noqa: N802
        return board.get("uuid", "GPU-1")

    def nvmlDeviceGetName(self, _board):  # noqa: N802
        return "NVIDIA H100 80GB HBM3"

    def nvmlDeviceGetMemoryInfo(self, _board):  # noqa: N802
        return SimpleNamespace(used=8 << 30)

    def nvmlDeviceSetPowerManagementLimit(self, board, limit_mw):  # noqa: N802
        if "refuses" in board:
            raise pynvml.NVMLError(board["refuses"])
        low, high = board["limits"]
        if not low <= limit_mw <= high:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        board["limit"] = limit_mw

    def __getattr__(self, name):
        field = {
            "nvmlDeviceGetPowerManagementLimitConstraints": "limits",
            "nvmlDeviceGetPowerManagementDefaultLimit": "default",
            "nvmlDeviceGetPowerManagementLimit": "limit",
            "nvmlDeviceGetEnforcedPowerLimit": "enforced",
            "nvmlDeviceGetPowerUsage": "power",
            "nvmlDeviceGetTotalEnergyConsumption": "energy",
        }[name]

        def ask(board):
            if field not in board:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return board[field]

        return ask


def backend(*boards: dict, init_error: int | None = None) -> NvmlBackend:
    return NvmlBackend(GpuWorkerSettings(), Driver(*(dict(board) for board in boards), init_error=init_error))


def test_milliwatts_become_watts_and_the_requested_limit_is_not_the_enforced_one():
    (device,) = backend(H100 | {"power": 121_700, "energy": 5_000_000}).discover()
    assert (device.min_limit_w, device.max_limit_w, device.default_limit_w) == (200.0, 700.0, 700.0)
    assert (device.power_limit_w(), device.enforced_limit_w()) == (650.0, 500.0)
    assert (device.power_w(), device.energy_j(), device.energy_basis) == (121.7, 5_000.0, EnergyBasis.MEASURED)
    assert device.memory_used_bytes() == 8 << 30
    assert device.curve.parked_w == pytest.approx(120.4)


def test_a_set_is_read_back_and_clamped_after_rounding():
    (device,) = backend(H100).discover()
    assert device.set_power_limit_w(333.3333) == 333.333
    assert device.set_power_limit_w(199.9999) == 200.0


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (pynvml.NVML_ERROR_NO_PERMISSION, CapRefusedError, "CAP_SYS_ADMIN"),
        (pynvml.NVML_ERROR_NOT_SUPPORTED, CapRefusedError, "doctor"),
        (pynvml.NVML_ERROR_GPU_IS_LOST, DeviceTroubleError, "Xid"),
        (pynvml.NVML_ERROR_UNKNOWN, DeviceTroubleError, "tried again"),
    ],
)
def test_a_refusal_that_will_last_is_told_from_one_that_may_not(code, error, says):
    (device,) = backend(H100 | {"refuses": code}).discover()
    with pytest.raises(error, match=says):
        device.set_power_limit_w(300.0)
    assert device.power_limit_w() == 650.0


def test_a_board_without_counter_power_or_range_is_driven_as_far_as_it_goes():
    (device,) = backend({"limit": 75_000}).discover()
    assert (device.min_limit_w, device.max_limit_w) == (75.0, 75.0)
    assert (device.power_w(), device.energy_j(), device.energy_basis) == (None, None, EnergyBasis.ESTIMATED)
    (report,) = backend({"limit": 75_000}).inspect()
    assert not report.sets_limit
    assert [lack.what for lack in report.lacks] == [
        "its power limit is fixed",
        "it reports neither power nor energy",
    ]


def test_a_board_without_a_limit_is_reported_and_its_neighbour_driven():
    both = backend({"uuid": "GPU-vgpu"}, H100 | {"uuid": "GPU-2", "power": 70_000})
    assert [device.uuid for device in both.discover()] == ["GPU-2"]
    vgpu, whole = both.inspect()
    assert "GPU 0 cannot be driven" in vgpu.lacks[0].what
    assert (whole.uuid, whole.reads_power, whole.reads_energy) == ("GPU-2", True, False)


@pytest.mark.parametrize(
    ("code", "remedy"), [(12, "install the NVIDIA driver"), (18, "reboot"), (999, "restart the container")]
)
def test_why_nvml_does_not_start_comes_with_what_to_do(code, remedy):
    broken = backend(init_error=code)
    assert broken.discover() == []
    (report,) = broken.inspect()
    assert report.uuid is None
    assert remedy in report.lacks[0].remedy


def test_permission_is_read_from_the_kernel(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nCapEff:\t0000000000200000\n")
    assert _may_set_limits(status)
    status.write_text("Name:\tpython\nCapEff:\t00000000a80425fb\n")
    assert not _may_set_limits(status)
    assert not _may_set_limits(tmp_path / "none")


@pytest.mark.gpu
def test_a_real_board_takes_a_limit_and_gives_its_own_back():
    devices = NvmlBackend(GpuWorkerSettings()).discover()
    if not devices or not _may_set_limits():
        pytest.skip("no NVIDIA GPU whose limit may be set")
    device = devices[0]
    before_w = device.power_limit_w()
    try:
        assert device.set_power_limit_w(device.min_limit_w) == pytest.approx(device.min_limit_w, abs=1.0)
    finally:
        assert device.set_power_limit_w(before_w) == pytest.approx(before_w, abs=1.0)
