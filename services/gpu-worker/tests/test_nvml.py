"""The NVML backend through the unmodified bindings, against a driver at NVML's ABI: every kind of board and of host."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.devices.report import Rung
from carbonshift.gpu_worker.devices.visible import visible
from carbonshift.gpu_worker.errors import CapRefusedError, DeviceTroubleError
from carbonshift.gpu_worker.privilege import CAP_SYS_ADMIN, effective

LAPTOP = {"takes_limits": 0, "limit_mw": 115_000, "limited_mw": 115_000, "default_mw": 115_000}
VGPU = {"takes_limits": 0, "clocks": 0, "tells_power": 0, "counter": 3, "virtualization": 2}
FIXED = {"min_mw": 75_000, "max_mw": 75_000, "default_mw": 75_000, "limit_mw": 75_000, "clocks": 0}
FROZEN, ZERO, UNCOUNTED = 1, 2, 3
PASCAL = 4
MAY = bool(effective() >> CAP_SYS_ADMIN & 1)
MAY_NOT = "this process may not set power limits or clocks"
DOCTOR = "from carbonshift.cli.main import main; main()"
UNPRIVILEGED = """
import ctypes, json
from dataclasses import asdict
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.errors import CapRefusedError
assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
backend = NvmlBackend()
for device in backend.discover():
    try:
        device.set_power_limit_w(device.min_limit_w)
    except CapRefusedError:
        pass
    else:
        raise SystemExit("it was not refused")
print(json.dumps([asdict(report) for report in backend.inspect()]))
"""
"""Without any capability: what a set comes to, and what is reported."""


@pytest.fixture(autouse=True)
def _shown(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def one(driver):
    assert driver.state.boards == 1
    (device,) = NvmlBackend().discover()
    return device


def lacks(report):
    return [lack.what for lack in report.lacks if lack.what != MAY_NOT]


def by_privilege(rung):
    """These tests run with and without CAP_SYS_ADMIN."""
    return rung if MAY else Rung.PAUSE_ONLY


def python(script, *argv, env=None, **options):
    run = subprocess.run(
        [sys.executable, "-c", script, *argv],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_guard_that_imports_it_stays_small():
    heavy = ("pydantic", "nats", "faststream", "pynvml", "carbonshift.common.events", "carbonshift.gpu_worker.settings")
    script = f"import sys, carbonshift.gpu_worker.devices.nvml; print(sorted({{*{heavy}}} & {{*sys.modules}}))"
    assert python(script).strip() == "[]"


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
    assert lacks(report) == ["its energy counter stands still"]
    assert report.energy_basis is EnergyBasis.INTEGRATED


def test_a_counter_of_a_board_that_draws_nothing_may_stand_still(nvml_here):
    device = one(nvml_here({"counter": FROZEN, "idle_mw": 0, "load_permille": 0}))
    device.validate_energy()
    assert device.energy_basis is EnergyBasis.MEASURED


def test_without_power_to_integrate_a_counter_that_stands_still_leaves_an_estimate(nvml_here):
    device = one(nvml_here({"counter": FROZEN, "tells_power": 0}))
    device.validate_energy()
    assert device.energy_basis is EnergyBasis.ESTIMATED


def test_a_board_without_a_counter_has_its_power_integrated(nvml_here):
    nvml_here({"counter": UNCOUNTED})
    (report,) = NvmlBackend().inspect()
    assert lacks(report) == ["it has no energy counter"]
    assert (report.energy_basis, report.reads_power) == (EnergyBasis.INTEGRATED, True)


def test_a_counter_that_counts_is_believed(nvml_here):
    device = one(nvml_here())
    before_j = device.energy_j()
    device.validate_energy()
    assert device.energy_j() > before_j
    assert device.energy_basis is EnergyBasis.MEASURED


def test_a_board_without_counter_power_or_range_is_driven_as_far_as_it_goes(nvml_here):
    device = one(nvml_here(FIXED | {"tells_power": 0, "counter": UNCOUNTED}))
    assert (device.min_limit_w, device.max_limit_w) == (75.0, 75.0)
    assert (device.power_w(), device.energy_j(), device.energy_basis) == (None, None, EnergyBasis.ESTIMATED)
    (report,) = NvmlBackend().inspect()
    assert report.rung is Rung.PAUSE_ONLY
    assert lacks(report) == ["its power limit is fixed", "it reports neither power nor energy"]
    assert not report.sets_limit


def test_a_board_that_tells_its_limit_and_no_range_has_one_point_for_a_range(nvml_here):
    driver = nvml_here({"clocks": 0})
    driver.fail("nvmlDeviceGetPowerManagementLimitConstraints", pynvml.NVML_ERROR_NOT_SUPPORTED)
    device = one(driver)
    assert (device.rung, device.min_limit_w, device.max_limit_w) == (Rung.PAUSE_ONLY, 650.0, 650.0)


def test_a_board_that_tells_no_default_boots_with_its_highest(nvml_here):
    driver = nvml_here()
    driver.fail("nvmlDeviceGetPowerManagementDefaultLimit", pynvml.NVML_ERROR_NOT_SUPPORTED)
    assert one(driver).default_limit_w == 700.0


def test_a_board_that_does_not_say_now_is_not_taken_for_one_that_has_no_limit(nvml_here):
    driver = nvml_here()
    driver.fail("nvmlDeviceGetPowerManagementLimit", pynvml.NVML_ERROR_UNKNOWN, times=1)
    assert NvmlBackend().discover() == []
    assert one(driver).rung is Rung.POWER_LIMIT


def test_a_limit_that_is_lost_sight_of_is_trouble(nvml_here):
    driver = nvml_here()
    device = one(driver)
    driver.fail("nvmlDeviceGetPowerManagementLimit", pynvml.NVML_ERROR_NOT_SUPPORTED)
    with pytest.raises(DeviceTroubleError, match="any more"):
        device.power_limit_w()


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
    assert (report.rung, report.power_limit_w) == (by_privilege(Rung.LOCKED_CLOCKS), None)
    assert (report.locks_clocks, report.nominal, report.sets_limit) == (True, True, False)
    assert lacks(report) == ["it takes no power limit, as most laptops"]


def test_nominal_limits_stand_still_where_a_default_is_told(nvml_here):
    """The enforced limit of a laptop on battery is lower: what was captured on mains would not mean free clocks."""
    driver = nvml_here({"limited_mw": 35_000})
    driver.fail("nvmlDeviceGetPowerManagementLimit", pynvml.NVML_ERROR_NOT_SUPPORTED)
    device = one(driver)
    assert (device.rung, device.max_limit_w, device.enforced_limit_w()) == (Rung.LOCKED_CLOCKS, 700.0, 35.0)


def test_a_board_older_than_volta_lists_clocks_that_cannot_be_locked(nvml_here):
    driver = nvml_here(FIXED | {"clocks": 1})
    signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint))

    def architecture(_handle, found):
        found[0] = PASCAL
        return pynvml.NVML_SUCCESS

    pynvml.nvmlLib.nvmlDeviceGetArchitecture = signature(architecture)
    assert one(driver).rung is Rung.PAUSE_ONLY

    assert not one(driver).can_slow


@pytest.mark.parametrize("board", [{}, LAPTOP], ids=["limit", "nominal"])
def test_clocks_are_locked_at_the_lowest_and_freed(nvml_here, board):
    driver = nvml_here(board)
    device = one(driver)
    limit_w = device.power_limit_w()
    assert device.can_slow
    device.slow_down()
    assert (driver.board().locked_low_mhz, driver.board().locked_high_mhz) == (300, 300)
    assert device.power_limit_w() == limit_w
    device.speed_up()
    assert driver.board().locked_high_mhz == 0
    (report,) = NvmlBackend().inspect()
    assert report.slows is MAY


@pytest.mark.parametrize(
    "board",
    [{"clocks": 0}, LAPTOP | {"clocks": 0}, {"virtualization": 2}],
    ids=["no clocks", "a laptop's", "vGPU"],
)
def test_a_board_without_clocks_to_lock_cannot_be_slowed(nvml_here, board):
    driver = nvml_here(board)
    device = one(driver)
    assert not device.can_slow
    with pytest.raises(CapRefusedError, match="no clocks"):
        device.slow_down()
    assert not driver.calls("nvmlDeviceSetGpuLockedClocks")
    (report,) = NvmlBackend().inspect()
    assert not report.slows


@pytest.mark.parametrize("board", [{}, LAPTOP], ids=["limit", "nominal"])
@pytest.mark.parametrize(("code", "error"), [(3, CapRefusedError), (4, CapRefusedError), (999, DeviceTroubleError)])
def test_clocks_that_are_refused_are_told_from_those_that_may_be_had(nvml_here, board, code, error):
    driver = nvml_here(board)
    device = one(driver)
    driver.fail("nvmlDeviceSetGpuLockedClocks", code)
    driver.fail("nvmlDeviceResetGpuLockedClocks", code)
    for ask in (device.slow_down, device.speed_up):
        with pytest.raises(error, match="refused"):
            ask()


def test_a_reload_while_clocks_are_low_leaves_a_nominal_limit_to_be_set(nvml_here):
    driver = nvml_here(LAPTOP)
    device = one(driver)
    epoch = device.epoch
    device.slow_down()
    pynvml.nvmlShutdown()
    driver.reload()
    device.set_power_limit_w(80.0)
    assert (driver.board().locked_high_mhz, device.epoch) == (1_260, epoch + 1)
    device.speed_up()
    assert driver.board().locked_high_mhz == 1_260


def test_a_fixed_limit_leaves_the_clocks(nvml_here):
    assert one(nvml_here(FIXED | {"clocks": 1})).rung is Rung.LOCKED_CLOCKS


def test_a_laptop_whose_clocks_cannot_be_locked_is_paused(nvml_here):
    device = one(nvml_here(LAPTOP | {"clocks": 0}))
    assert (device.rung, device.min_limit_w, device.max_limit_w) == (Rung.PAUSE_ONLY, 115.0, 115.0)
    with pytest.raises(CapRefusedError):
        device.set_power_limit_w(80.0)
    assert device.power_limit_w() == 115.0


def test_a_reload_frees_the_clocks_and_a_lost_board_says_so(nvml_here):
    driver = nvml_here(LAPTOP)
    device = one(driver)
    locked_w = device.set_power_limit_w(80.0)
    assert device.power_limit_w() == locked_w < 115.0
    pynvml.nvmlShutdown()
    assert device.power_limit_w() == 115.0
    driver.board().lost = 1
    with pytest.raises(DeviceTroubleError):
        device.power_limit_w()


def test_clocks_that_may_not_be_locked_are_a_refusal(nvml_here):
    driver = nvml_here(LAPTOP)
    driver.state.permitted = 0
    with pytest.raises(CapRefusedError, match="CAP_SYS_ADMIN"):
        one(driver).set_power_limit_w(80.0)


def test_a_vgpu_is_reported_and_its_neighbour_driven(nvml_here):
    driver = nvml_here(VGPU, {})
    assert [device.uuid for device in NvmlBackend().discover()] == [driver.uuid(1)]
    guest, whole = NvmlBackend().inspect()
    assert (guest.uuid, guest.pci_bus_id, guest.rung) == (driver.uuid(0), "0000:01:00.0", Rung.OBSERVE_ONLY)
    assert lacks(guest) == ["it tells no limit, so it is not driven", "it reports neither power nor energy"]
    assert "vGPU" in guest.lacks[0].remedy
    assert guest.min_limit_w is guest.power_limit_w is None
    assert (whole.uuid, lacks(whole)) == (driver.uuid(1), [])


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


TOLD = "from carbonshift.gpu_worker.devices.nvml import NvmlBackend; print(NvmlBackend().inspect()[0].lacks[0].remedy)"


def test_a_missing_library_is_told_too():
    if "install the NVIDIA driver" not in python(TOLD):
        pytest.skip("there is an NVIDIA driver here")


def test_missing_bindings_are_told_too(tmp_path):
    (tmp_path / "pynvml.py").write_text("raise ImportError")
    assert "pip install nvidia-ml-py" in python("import sys; sys.path.insert(0, '.');" + TOLD, cwd=tmp_path)


def test_a_host_without_boards_is_told_too(nvml_here):
    nvml_here({"present": 0})
    (report,) = NvmlBackend().inspect()
    assert lacks(report) == ["no NVIDIA GPU"]


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


def test_a_reload_is_met_once_for_all_boards_and_by_the_backend_too(nvml_here):
    driver = nvml_here({}, {})
    backend = NvmlBackend()
    devices = backend.discover()
    pynvml.nvmlShutdown()
    driver.reload()
    assert [device.power_limit_w() for device in devices] == [700.0, 700.0]
    assert devices[1].set_power_limit_w(300.0) == 300.0
    pynvml.nvmlShutdown()
    assert len(backend.discover()) == 2
    assert [call.code for call in driver.calls("nvmlInit")] == [0, 0, 0]


def test_a_reload_that_left_driver_and_library_apart_is_trouble(nvml_here):
    driver = nvml_here()
    device = one(driver)
    pynvml.nvmlShutdown()
    driver.state.init_code = 18
    with pytest.raises(DeviceTroubleError):
        device.power_limit_w()
    assert device.power_w() is None


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED])
def test_a_board_lost_between_two_questions_is_reported_as_far_as_it_goes(nvml_here, code):
    driver = nvml_here({}, {})
    for call in ("PowerUsage", "TotalEnergyConsumption", "EnforcedPowerLimit", "PersistenceMode"):
        driver.fail(f"nvmlDeviceGet{call}", code, board=0)
    driver.fail("nvmlDeviceGetComputeRunningProcesses_v3", code, board=0)
    first, second = NvmlBackend().inspect()
    assert (first.uuid, first.rung) == (driver.uuid(0), by_privilege(Rung.POWER_LIMIT))
    assert (first.reads_power, first.persistent, first.process_ids) == (False, None, ())
    assert lacks(second) == []


def test_a_handle_that_is_no_longer_valid_is_looked_up_again(nvml_here):
    """Boards with coherent memory (GH200) get a new one as persistence is switched off."""
    driver = nvml_here()
    device = one(driver)
    driver.fail("nvmlDeviceGetPowerManagementLimit", pynvml.NVML_ERROR_INVALID_ARGUMENT, times=1)
    assert device.power_limit_w() == 650.0


def test_mig_instances_belong_to_the_board_that_is_driven_once(nvml_here, monkeypatch):
    driver = nvml_here({"mig": 1, "instances": 3}, {})
    assert len(NvmlBackend().discover()) == 2
    parent, whole = NvmlBackend().inspect()
    assert (len(parent.instances), len(whole.instances)) == (3, 0)
    assert (parent.divides, whole.divides) == (True, False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{parent.instances[0]},{parent.instances[2]}")
    assert [device.uuid for device in NvmlBackend().discover()] == [driver.uuid(0)]


def test_cuda_visible_devices_is_honoured(nvml_here, monkeypatch):
    driver = nvml_here({}, {}, {})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"2,{driver.uuid(0)}")
    assert [device.uuid for device in NvmlBackend().discover()] == [driver.uuid(2), driver.uuid(0)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    (report,) = NvmlBackend().inspect()
    assert "shows no GPU" in report.lacks[0].what


BOARDS, PARTS = ["GPU-aa1", "GPU-ab2", "GPU-c"], {"MIG-7": "GPU-c", "MIG-9": "GPU-c"}


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
        ("0,0", []),
        ("1,GPU-ab", []),
        ("1st,+2", ["GPU-ab2", "GPU-c"]),
        ("NoDevFiles", []),
        ("MIG-7,MIG-9", ["GPU-c"]),
        ("MIG-", []),
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
    (report,) = NvmlBackend().inspect()
    assert report.process_ids == tuple(sorted((os.getpid(), 77)))


@pytest.mark.parametrize(("lacking", "found"), [(("_v3",), "{77}"), (("_v3", "_v2"), "set()")])
def test_an_older_driver_is_asked_in_an_older_form(fake_nvml, tmp_path, lacking, found):
    driver = fake_nvml()
    driver.board().pids[0] = 77
    older = tmp_path / "older/libnvidia-ml.so.1"
    older.parent.mkdir()
    call = "nvmlDeviceGetComputeRunningProcesses"
    renamed = [f"-D{call}{form}=later{form}" for form in lacking]
    source = Path(__file__).parent / "fake_nvml/nvml.c"
    subprocess.run(["cc", "-std=c11", "-shared", "-fPIC", *renamed, "-o", older, source], check=True)
    script = """
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
(device,) = NvmlBackend().discover()
print(set(device.process_ids()))
"""
    assert python(script, env=driver.env | {"LD_LIBRARY_PATH": str(older.parent)}).strip() == found


def test_each_lack_comes_with_what_to_do_about_it(nvml_here):
    driver = nvml_here({"limited_mw": 500_000, "persistent": 0, "default_mw": 650_000})
    (report,) = NvmlBackend().inspect()
    assert lacks(report) == [
        "persistence is off: limits end with its last client",
        "500 W are enforced of 650 W asked for",
    ]
    assert (report.uuid, report.process_ids, report.persistent) == (driver.uuid(), (), False)
    assert (report.rung, report.sets_limit, report.nominal) == (by_privilege(Rung.POWER_LIMIT), MAY, False)
    assert (report.min_limit_w, report.max_limit_w, report.default_limit_w) == (200.0, 700.0, 650.0)
    assert (report.power_limit_w, report.enforced_limit_w) == (650.0, 500.0)


@pytest.mark.parametrize("board", [{}, LAPTOP])
def test_without_the_privilege_nothing_is_set_and_who_needs_it_is_said(fake_nvml, board):
    driver = fake_nvml(board)
    driver.state.permitted = 0
    (report,) = json.loads(python(UNPRIVILEGED, env=driver.env))
    assert (report["rung"], report["sets_limit"]) == ("pause only", False)
    remedies = {lack["what"]: lack["remedy"] for lack in report["lacks"]}
    assert "not the training" in remedies[MAY_NOT]


def test_the_doctor_shows_every_board_in_80_columns_and_all_of_it_to_programs(fake_nvml, tmp_path):
    driver = fake_nvml({"limited_mw": 500_000, "persistent": 0}, LAPTOP, VGPU, {"mig": 1, "instances": 3})
    env = driver.env | {"COLUMNS": "80", "NO_COLOR": "1", "CARBONSHIFT_STATE_DIR": str(tmp_path / "state")}
    shown = python(DOCTOR, "doctor", env=env)
    assert max(map(len, shown.splitlines())) <= 80
    for number in range(4):
        assert driver.uuid(number) in shown
    words = " ".join(shown.split())
    for told in ("obeys 500", "range 200-700", "low clocks", "MIG yes", "parts 3", "observe only", "nvidia-smi -pm 1"):
        assert told in words
    findings = json.loads(python(DOCTOR, "doctor", "--json", env=env))
    boards = [found["detail"] for found in findings if found["detail"] and found["detail"]["backend"] == "nvml"]
    assert [board["uuid"] for board in boards] == [driver.uuid(number) for number in range(4)]
    assert {"persistent", "divides", "instances", "process_ids", "lacks", "energy_basis", "slows"} <= boards[0].keys()
    assert all(found["remedy"] for found in findings if found["verdict"] != "ok")
