"""The NVML backend through the unmodified bindings, against a driver at NVML's ABI: every kind of board and of host."""

import os
import subprocess
import sys

import pynvml
import pytest

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.gpu_worker.devices import nvml
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.devices.report import Rung
from carbonshift.gpu_worker.devices.visible import visible
from carbonshift.gpu_worker.errors import CapRefusedError, DeviceTroubleError

LAPTOP = {"takes_limits": 0, "limit_mw": 115_000, "limited_mw": 115_000, "default_mw": 115_000}
VGPU = {"takes_limits": 0, "clocks": 0, "tells_power": 0, "counter": 3, "virtualization": 2}
FIXED = {"min_mw": 75_000, "max_mw": 75_000, "default_mw": 75_000, "limit_mw": 75_000, "clocks": 0}
FROZEN, ZERO, UNCOUNTED = 1, 2, 3


@pytest.fixture(autouse=True)
def _shown(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def privileged(monkeypatch):
    monkeypatch.setattr(nvml, "effective", lambda: 1 << nvml.CAP_SYS_ADMIN)


def one(driver):
    assert driver.state.boards == 1
    (device,) = NvmlBackend().discover()
    return device


def test_milliwatts_become_watts_and_the_requested_limit_is_not_the_enforced_one(nvml_here):
    driver = nvml_here({"limited_mw": 500_000})
    device = one(driver)
    assert (device.uuid, device.pci_bus_id) == (driver.uuid(), "0000:01:00.0")
    assert (device.min_limit_w, device.max_limit_w, device.default_limit_w) == (200.0, 700.0, 700.0)
    assert (device.power_limit_w(), device.enforced_limit_w()) == (650.0, 500.0)
    assert (device.power_w(), device.energy_basis) == (475.0, EnergyBasis.MEASURED)
    assert device.memory_used_bytes() == 8 << 30
    assert device.curve.parked_w == pytest.approx(120.4)


def test_a_set_is_rounded_clamped_and_read_back(nvml_here):
    driver = nvml_here({"step_mw": 1_000})
    device = one(driver)
    assert device.set_power_limit_w(333.3333) == 333.0
    assert device.set_power_limit_w(199.9999) == 200.0
    assert [call.argument for call in driver.calls("nvmlDeviceSetPowerManagementLimit")] == [333_333, 200_000]


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (pynvml.NVML_ERROR_NO_PERMISSION, CapRefusedError, "CAP_SYS_ADMIN"),
        (pynvml.NVML_ERROR_NOT_SUPPORTED, CapRefusedError, "doctor"),
        (pynvml.NVML_ERROR_TIMEOUT, DeviceTroubleError, "tried again"),
        (pynvml.NVML_ERROR_GPU_IS_LOST, DeviceTroubleError, "Xid"),
        (pynvml.NVML_ERROR_UNKNOWN, DeviceTroubleError, "tried again"),
    ],
)
def test_a_refusal_that_will_last_is_told_from_one_that_may_not(nvml_here, code, error, says):
    driver = nvml_here()
    device = one(driver)
    driver.fail("nvmlDeviceSetPowerManagementLimit", code)
    with pytest.raises(error, match=says):
        device.set_power_limit_w(300.0)
    assert device.power_limit_w() == 650.0


@pytest.mark.parametrize("counter", [FROZEN, ZERO])
def test_a_counter_that_stands_still_is_not_believed(nvml_here, counter):
    device = one(nvml_here({"counter": counter}))
    assert device.energy_basis is EnergyBasis.MEASURED
    device.validate_energy()
    assert (device.energy_j(), device.energy_basis) == (None, EnergyBasis.INTEGRATED)
    (report,) = NvmlBackend().inspect()
    assert "its energy counter stands still" in [lack.what for lack in report.lacks]


def test_a_counter_that_counts_is_believed(nvml_here):
    device = one(nvml_here())
    before_j = device.energy_j()
    device.validate_energy()
    assert device.energy_j() > before_j
    assert device.energy_basis is EnergyBasis.MEASURED


@pytest.mark.usefixtures("privileged")
def test_a_board_without_counter_power_or_range_is_driven_as_far_as_it_goes(nvml_here):
    device = one(nvml_here(FIXED | {"tells_power": 0, "counter": UNCOUNTED}))
    assert (device.min_limit_w, device.max_limit_w) == (75.0, 75.0)
    assert (device.power_w(), device.energy_j(), device.energy_basis) == (None, None, EnergyBasis.ESTIMATED)
    (report,) = NvmlBackend().inspect()
    assert report.rung is Rung.PAUSE_ONLY
    assert [lack.what for lack in report.lacks] == [
        "its power limit is fixed",
        "it reports neither power nor energy",
    ]


@pytest.mark.usefixtures("privileged")
def test_a_laptop_is_driven_by_its_clocks_and_the_highest_limit_frees_them(nvml_here):
    driver = nvml_here(LAPTOP)
    device = one(driver)
    assert (device.rung, device.max_limit_w, device.tells_limit) == (Rung.LOCKED_CLOCKS, 115.0, False)
    assert device.min_limit_w == pytest.approx(115.0 * 1_020 / 1_980)
    assert device.set_power_limit_w(80.0) == pytest.approx(115.0 * 1_260 / 1_980)
    assert driver.board().locked_high_mhz == 1_260
    device.set_power_limit_w(0.0)
    assert driver.board().locked_high_mhz == 1_020
    assert device.set_power_limit_w(115.0) == 115.0
    assert driver.board().locked_high_mhz == 0
    (report,) = NvmlBackend().inspect()
    assert (report.rung, report.power_limit_w, report.locks_clocks) == (Rung.LOCKED_CLOCKS, None, True)
    assert report.lacks[0].what == "it takes no power limit"


def test_clocks_that_may_not_be_locked_are_a_refusal(nvml_here):
    driver = nvml_here(LAPTOP)
    driver.state.permitted = 0
    with pytest.raises(CapRefusedError, match="CAP_SYS_ADMIN"):
        one(driver).set_power_limit_w(80.0)


def test_a_vgpu_is_reported_and_its_neighbour_driven(nvml_here):
    driver = nvml_here(VGPU, {})
    assert [device.uuid for device in NvmlBackend().discover()] == [driver.uuid(1)]
    guest, whole = NvmlBackend().inspect()
    assert guest.uuid is None
    assert "vGPU" in guest.lacks[0].remedy
    assert whole.uuid == driver.uuid(1)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (9, "modprobe"),
        (12, "install the NVIDIA driver"),
        (13, "update"),
        (18, "reboot"),
        (999, "restart the container"),
    ],
)
def test_why_nvml_does_not_start_comes_with_what_to_do(nvml_here, code, remedy):
    nvml_here().state.init_code = code
    assert NvmlBackend().discover() == []
    (report,) = NvmlBackend().inspect()
    assert (report.uuid, report.rung) == (None, Rung.OBSERVE_ONLY)
    assert remedy in report.lacks[0].remedy


def test_a_missing_library_is_told_too():
    script = (
        "from carbonshift.gpu_worker.devices.nvml import NvmlBackend; print(NvmlBackend().inspect()[0].lacks[0].remedy)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    if "nvidia-smi" in run.stdout:
        pytest.skip("there is an NVIDIA driver here")
    assert "install the NVIDIA driver" in run.stdout


def test_a_board_that_is_lost_leaves_the_others_be(nvml_here):
    driver = nvml_here({}, {})
    first, second = NvmlBackend().discover()
    driver.board(0).lost = 1
    with pytest.raises(DeviceTroubleError):
        first.power_limit_w()
    with pytest.raises(DeviceTroubleError):
        first.set_power_limit_w(300.0)
    assert (first.power_w(), first.energy_j(), first.enforced_limit_w()) == (None, None, None)
    assert second.set_power_limit_w(300.0) == 300.0
    assert [device.uuid for device in NvmlBackend().discover()] == [driver.uuid(1)]
    lost = NvmlBackend().inspect()[0]
    assert "does not answer" in lost.lacks[0].what


def test_a_board_that_is_taken_out_shifts_no_handle(nvml_here):
    driver = nvml_here({}, {}, {})
    devices = NvmlBackend().discover()
    driver.board(1).present = 0
    assert devices[2].set_power_limit_w(300.0) == 300.0
    assert driver.board(2).limit_mw == 300_000
    with pytest.raises(DeviceTroubleError):
        devices[1].power_limit_w()
    assert [device.uuid for device in NvmlBackend().discover()] == [driver.uuid(0), driver.uuid(2)]


def test_after_a_reload_of_the_driver_the_board_is_found_again(nvml_here):
    driver = nvml_here()
    device = one(driver)
    pynvml.nvmlShutdown()  # to the device as a reload is: its handle is of no use any more
    assert device.power_limit_w() == 650.0


def test_mig_instances_belong_to_the_board_that_is_driven_once(nvml_here, monkeypatch):
    driver = nvml_here({"mig": 1, "instances": 3}, {})
    assert len(NvmlBackend().discover()) == 2
    parent, whole = NvmlBackend().inspect()
    assert (len(parent.instances), len(whole.instances)) == (3, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{parent.instances[0]},{parent.instances[2]}")
    assert [device.uuid for device in NvmlBackend().discover()] == [driver.uuid(0)]


def test_cuda_visible_devices_is_honoured(nvml_here, monkeypatch):
    driver = nvml_here({}, {}, {})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"2,{driver.uuid(0)}")
    assert [device.uuid for device in NvmlBackend().discover()] == [driver.uuid(2), driver.uuid(0)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    (report,) = NvmlBackend().inspect()
    assert "shows no GPU" in report.lacks[0].what


BOARDS, PARTS = ["GPU-aa1", "GPU-ab2", "GPU-c"], {"MIG-7": "GPU-c"}


@pytest.mark.parametrize(
    ("listed", "shown"),
    [
        (None, BOARDS),
        ("", []),
        ("1", ["GPU-ab2"]),
        ("2,0", ["GPU-c", "GPU-aa1"]),
        ("0,9,1", ["GPU-aa1"]),
        ("0,-1,1", ["GPU-aa1"]),
        ("GPU-ab", ["GPU-ab2"]),
        ("GPU-a", []),
        ("MIG-7,0", ["GPU-c", "GPU-aa1"]),
        ("MIG-8", []),
        ("0,0", ["GPU-aa1"]),
    ],
)
def test_what_is_listed_is_read_as_cuda_does(listed, shown):
    assert visible(BOARDS, PARTS, listed) == shown


def test_who_computes_on_it_is_known(nvml_here):
    driver = nvml_here()
    device = one(driver)
    assert device.process_ids() == frozenset()
    driver.board().pids[0], driver.board().pids[1] = os.getpid(), 77
    assert device.process_ids() == {os.getpid(), 77}


@pytest.mark.usefixtures("privileged")
def test_each_lack_comes_with_what_to_do_about_it(nvml_here):
    driver = nvml_here({"limited_mw": 500_000, "persistent": 0, "default_mw": 650_000})
    (report,) = NvmlBackend().inspect()
    assert [lack.what for lack in report.lacks] == [
        "persistence is off: limits end with its last client",
        "500 W are enforced of 650 W asked for",
    ]
    assert report.rung is Rung.POWER_LIMIT
    assert (report.uuid, report.processes, report.persistent) == (driver.uuid(), 0, False)


def test_without_the_privilege_it_says_who_needs_it(nvml_here, monkeypatch):
    nvml_here()
    monkeypatch.setattr(nvml, "effective", lambda: 0)
    (report,) = NvmlBackend().inspect()
    assert "not the training" in report.lacks[0].remedy
