"""The driver of fake_nvml/ itself, through the unmodified bindings: what the other tests take for granted."""

import ctypes
import os
import signal
import subprocess
import sys
from itertools import pairwise

import pynvml
import pytest

FROZEN, ZERO, UNCOUNTED = 1, 2, 3
CONTESTED = 500_000
SET = "nvmlDeviceSetPowerManagementLimit"
FIRST = "import pynvml, sys; pynvml.nvmlInit(); board = pynvml.nvmlDeviceGetHandleByIndex(0); "


def raises(code):
    return pytest.raises(pynvml.NVMLError, check=lambda error: error.value == code)


def handle(number=0):
    """Of a board of this process's driver."""
    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByIndex(number)


def client(driver, code):
    """A process that has the driver open, does `code`, says a line and waits for its end."""
    program = FIRST + code + "; print('done', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | driver.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "done\n"
    return process


def end(process, how=None):
    """Kill it, or let it go its way; it is reaped, so that its pid is gone too."""
    if how is not None:
        process.send_signal(how)
    process.communicate()


def test_a_limit_is_stored_as_set_and_refused_out_of_range(nvml_here):
    driver = nvml_here()
    board = handle()
    assert pynvml.nvmlDeviceGetPowerManagementLimitConstraints(board) == [200_000, 700_000]
    assert pynvml.nvmlDeviceGetPowerManagementDefaultLimit(board) == 700_000
    pynvml.nvmlDeviceSetPowerManagementLimit(board, 333_333)
    for out_of_range in (199_999, 700_001):
        with raises(pynvml.NVML_ERROR_INVALID_ARGUMENT):
            pynvml.nvmlDeviceSetPowerManagementLimit(board, out_of_range)
    assert pynvml.nvmlDeviceGetPowerManagementLimit(board) == driver.board().limit_mw == 333_333


def test_a_limit_is_rounded_where_the_board_rounds(nvml_here):
    nvml_here({"step_mw": 1_000})
    board = handle()
    pynvml.nvmlDeviceSetPowerManagementLimit(board, 333_999)
    assert pynvml.nvmlDeviceGetPowerManagementLimit(board) == 333_000


def test_without_permission_nothing_is_set_and_all_is_read(nvml_here):
    nvml_here().state.permitted = 0
    board = handle()
    for change in (
        lambda: pynvml.nvmlDeviceSetPowerManagementLimit(board, 300_000),
        lambda: pynvml.nvmlDeviceSetGpuLockedClocks(board, 300, 900),
        lambda: pynvml.nvmlDeviceResetGpuLockedClocks(board),
        lambda: pynvml.nvmlDeviceSetPersistenceMode(board, 0),
    ):
        with raises(pynvml.NVML_ERROR_NO_PERMISSION):
            change()
    assert pynvml.nvmlDeviceGetPowerManagementLimit(board) == 650_000
    assert pynvml.nvmlDeviceGetPersistenceMode(board) == 1


def test_the_second_form_of_a_set_hides_a_refusal(nvml_here):
    driver = nvml_here()
    board = handle()
    assert pynvml.nvmlDeviceSetPowerManagementLimit_v2(board, 0, 100_000) == pynvml.NVML_SUCCESS
    assert pynvml.nvmlDeviceGetPowerManagementLimit(board) == 650_000
    (call,) = driver.calls(f"{SET}_v2")
    assert (call.argument, call.code) == (100_000, pynvml.NVML_ERROR_INVALID_ARGUMENT)


def test_the_enforced_limit_is_the_lower_one_and_steers_the_draw(nvml_here):
    driver = nvml_here({"limited_mw": 500_000})
    board = handle()
    assert pynvml.nvmlDeviceGetPowerManagementLimit(board) == 650_000
    assert pynvml.nvmlDeviceGetEnforcedPowerLimit(board) == 500_000
    assert 70_000 < pynvml.nvmlDeviceGetPowerUsage(board) < 500_000
    driver.board().load_permille = 0
    assert pynvml.nvmlDeviceGetPowerUsage(board) == 70_000


def test_the_counter_advances_and_never_falls(nvml_here):
    nvml_here()
    board = handle()
    first = pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
    seen = [first]
    while seen[-1] == first:  # as long as it takes: a counter that stands still is the timeout's
        seen.append(pynvml.nvmlDeviceGetTotalEnergyConsumption(board))
    seen += [pynvml.nvmlDeviceGetTotalEnergyConsumption(board) for _ in range(1_000)]
    assert all(before <= after for before, after in pairwise(seen))


def test_a_counter_may_stand_still_or_lack(nvml_here):
    driver = nvml_here({"counter": FROZEN, "energy_mj": 5_000})
    board = handle()
    assert {pynvml.nvmlDeviceGetTotalEnergyConsumption(board) for _ in range(100)} == {5_000}
    driver.board().counter = ZERO
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(board) == 0
    driver.board().counter = UNCOUNTED
    with raises(pynvml.NVML_ERROR_NOT_SUPPORTED):
        pynvml.nvmlDeviceGetTotalEnergyConsumption(board)


def test_field_values_fail_one_by_one(nvml_here):
    nvml_here({"counter": UNCOUNTED})
    instant, average, energy, other = pynvml.nvmlDeviceGetFieldValues(handle(), [186, 185, 83, 1])
    assert [field.nvmlReturn for field in (instant, average, energy, other)] == [0, 0, 3, 3]
    assert instant.value.uiVal == average.value.uiVal > 70_000


def test_a_lost_board_fails_and_its_neighbour_does_not(nvml_here):
    driver = nvml_here({}, {})
    lost, kept = handle(0), handle(1)
    driver.board(0).lost = 1
    for read in (pynvml.nvmlDeviceGetPowerUsage, pynvml.nvmlDeviceGetName, pynvml.nvmlDeviceGetIndex):
        with raises(pynvml.NVML_ERROR_GPU_IS_LOST):
            read(lost)
    with raises(pynvml.NVML_ERROR_GPU_IS_LOST):
        pynvml.nvmlDeviceSetPowerManagementLimit(lost, 300_000)
    pynvml.nvmlDeviceSetPowerManagementLimit(kept, 300_000)


def test_a_removed_board_shifts_the_indices_of_those_behind_it(nvml_here):
    driver = nvml_here({}, {})
    removed, kept = handle(0), handle(1)
    driver.board(0).present = 0
    assert pynvml.nvmlDeviceGetCount() == 1
    assert pynvml.nvmlDeviceGetIndex(kept) == 0
    assert pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(0)) == driver.uuid(1)
    with raises(pynvml.NVML_ERROR_GPU_IS_LOST):
        pynvml.nvmlDeviceGetUUID(removed)
    with raises(pynvml.NVML_ERROR_NOT_FOUND):
        pynvml.nvmlDeviceGetHandleByUUID(driver.uuid(0))


def test_a_board_is_found_by_each_of_its_names(nvml_here):
    driver = nvml_here({}, {})
    pynvml.nvmlInit()
    for found in (
        pynvml.nvmlDeviceGetHandleByUUID(driver.uuid(1)),
        pynvml.nvmlDeviceGetHandleByPciBusId(b"0000:02:00.0"),
    ):
        assert pynvml.nvmlDeviceGetIndex(found) == 1
        assert pynvml.nvmlDeviceGetPciInfo(found).busId == "0000:02:00.0"


def test_an_injected_failure_happens_as_often_as_said_on_the_board_named(nvml_here):
    driver = nvml_here({}, {})
    spared, failing = handle(0), handle(1)
    driver.fail("nvmlDeviceGetPowerUsage", pynvml.NVML_ERROR_UNKNOWN, board=1, times=2)
    for _ in range(2):
        with raises(pynvml.NVML_ERROR_UNKNOWN):
            pynvml.nvmlDeviceGetPowerUsage(failing)
        pynvml.nvmlDeviceGetPowerUsage(spared)
    pynvml.nvmlDeviceGetPowerUsage(failing)


def test_an_injected_failure_lasts_until_it_is_healed(nvml_here):
    driver = nvml_here()
    pynvml.nvmlInit()
    driver.fail("nvmlSystemGetDriverVersion", pynvml.NVML_ERROR_UNKNOWN)
    for _ in range(3):
        with raises(pynvml.NVML_ERROR_UNKNOWN):
            pynvml.nvmlSystemGetDriverVersion()
    driver.heal()
    assert pynvml.nvmlSystemGetDriverVersion() == "550.00"


def test_the_last_time_of_a_failure_is_one_process_s_alone(nvml_here):
    """Were it taken twice, its count would pass zero and the failure never end; so it is armed again and again."""
    driver = nvml_here()
    board, drawn = handle(), ctypes.byref(ctypes.c_uint())
    driver.fail("nvmlDeviceGetPowerUsage", pynvml.NVML_ERROR_UNKNOWN, times=1)
    rule, armed, failed = driver.state.rules[0], 1, 0
    program = (
        f"{FIRST}import ctypes; drawn = ctypes.byref(ctypes.c_uint()); print('ready', flush=True); "
        f"print(sum(pynvml.nvmlLib.nvmlDeviceGetPowerUsage(board, drawn) == 999 for _ in range({CONTESTED})))"
    )
    command = [sys.executable, "-c", program]
    other = subprocess.Popen(command, env=os.environ | driver.env, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "ready\n"
    for _ in range(CONTESTED):
        if rule.times == 0:
            rule.times, armed = 1, armed + 1
        failed += pynvml.nvmlLib.nvmlDeviceGetPowerUsage(board, drawn) == pynvml.NVML_ERROR_UNKNOWN
    failed += int(other.communicate()[0])
    assert failed == armed - rule.times


def test_why_init_fails_is_as_given(nvml_here):
    nvml_here().state.init_code = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    with raises(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH):
        pynvml.nvmlInit()
    with raises(pynvml.NVML_ERROR_UNINITIALIZED):
        pynvml.nvmlDeviceGetCount()


def test_processes_share_a_limit_and_it_outlives_a_kill(fake_nvml):
    driver = fake_nvml()
    writer = client(driver, f"pynvml.{SET}(board, 300_000)")
    reader = client(driver, "assert pynvml.nvmlDeviceGetPowerManagementLimit(board) == 300_000")
    end(writer, signal.SIGKILL)
    end(reader)
    assert reader.returncode == 0
    assert driver.board().limit_mw == 300_000


def test_a_limit_dies_with_the_last_client_without_persistence(fake_nvml):
    driver = fake_nvml({"persistent": 0}, {"persistent": 1})
    driver.board().locked_low_mhz = driver.board().locked_high_mhz = 900
    first = client(driver, f"pynvml.{SET}(board, 300_000)")
    second = client(driver, "None")
    end(first, signal.SIGKILL)
    end(client(driver, "pynvml.nvmlShutdown()"))
    assert driver.board().limit_mw == 300_000  # the second is still there
    end(second, signal.SIGKILL)
    end(client(driver, "pynvml.nvmlShutdown()"))  # whoever comes next finds it
    assert (driver.board(0).limit_mw, driver.board(0).locked_high_mhz) == (700_000, 0)
    assert driver.board(1).limit_mw == 650_000


def test_a_reload_of_the_driver_forgets(nvml_here):
    driver = nvml_here({"energy_mj": 10**15})
    board = handle()
    pynvml.nvmlDeviceSetPowerManagementLimit(board, 300_000)
    pynvml.nvmlDeviceSetGpuLockedClocks(board, 300, 900)
    before = pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
    driver.reload()
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(board) < before
    assert pynvml.nvmlDeviceGetPowerManagementLimit(board) == 700_000
    assert pynvml.nvmlDeviceGetClockInfo(board, pynvml.NVML_CLOCK_SM) == 1_980


def test_locked_clocks_hold_until_reset(nvml_here):
    nvml_here()
    board = handle()
    (memory,) = pynvml.nvmlDeviceGetSupportedMemoryClocks(board)
    offered = pynvml.nvmlDeviceGetSupportedGraphicsClocks(board, memory)
    assert offered[0] == pynvml.nvmlDeviceGetMaxClockInfo(board, pynvml.NVML_CLOCK_GRAPHICS)
    with raises(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceSetGpuLockedClocks(board, 900, 300)
    pynvml.nvmlDeviceSetGpuLockedClocks(board, 300, offered[3])
    assert pynvml.nvmlDeviceGetClockInfo(board, pynvml.NVML_CLOCK_GRAPHICS) == offered[3]
    pynvml.nvmlDeviceResetGpuLockedClocks(board)
    assert pynvml.nvmlDeviceGetClockInfo(board, pynvml.NVML_CLOCK_GRAPHICS) == offered[0]


def test_mig_instances_lead_to_their_board(nvml_here):
    driver = nvml_here({"mig": 1, "instances": 2}, {})
    board, whole = handle(0), handle(1)
    assert pynvml.nvmlDeviceGetMigMode(board) == [1, 1]
    assert (pynvml.nvmlDeviceGetMaxMigDeviceCount(board), pynvml.nvmlDeviceGetMaxMigDeviceCount(whole)) == (7, 0)
    instances = [pynvml.nvmlDeviceGetMigDeviceHandleByIndex(board, index) for index in range(2)]
    for instance in instances:
        assert pynvml.nvmlDeviceIsMigDeviceHandle(instance).value == 1
        parent = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance)
        assert pynvml.nvmlDeviceGetUUID(parent) == driver.uuid(0)
        with raises(pynvml.NVML_ERROR_NOT_SUPPORTED):
            pynvml.nvmlDeviceGetPowerUsage(instance)
    names = {pynvml.nvmlDeviceGetUUID(instance) for instance in instances}
    assert len(names) == 2
    assert all(name.startswith("MIG-") for name in names)
    assert pynvml.nvmlDeviceIsMigDeviceHandle(board).value == 0
    with raises(pynvml.NVML_ERROR_NOT_FOUND):
        pynvml.nvmlDeviceGetMigDeviceHandleByIndex(board, 2)
    with raises(pynvml.NVML_ERROR_NOT_SUPPORTED):
        pynvml.nvmlDeviceGetUtilizationRates(board)


def test_compute_processes_are_listed(nvml_here):
    driver = nvml_here()
    board = handle()
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(board) == []
    driver.board().pids[0], driver.board().pids[3] = 101, 202
    for read in (pynvml.nvmlDeviceGetComputeRunningProcesses_v2, pynvml.nvmlDeviceGetComputeRunningProcesses_v3):
        assert [(found.pid, found.usedGpuMemory) for found in read(board)] == [(101, 1 << 30), (202, 1 << 30)]
    assert pynvml.nvmlDeviceGetGraphicsRunningProcesses(board) == []


def test_what_the_board_is_can_be_read(nvml_here):
    nvml_here({"virtualization": 2})
    board = handle()
    first = pynvml.nvmlDeviceGetMemoryInfo(board)
    second = pynvml.nvmlDeviceGetMemoryInfo(board, version=pynvml.nvmlMemory_v2)
    assert (first.total, first.free, first.used) == (second.total, second.free, second.used)
    assert first.total == first.free + first.used
    assert pynvml.nvmlDeviceGetVirtualizationMode(board) == 2
    assert pynvml.nvmlDeviceGetArchitecture(board) == pynvml.NVML_DEVICE_ARCH_HOPPER
    assert pynvml.nvmlDeviceGetCudaComputeCapability(board) == (9, 0)
    assert pynvml.nvmlDeviceGetUtilizationRates(board).gpu == 100


def test_what_is_changed_is_logged_with_who_did_it_and_what_is_read_is_not(fake_nvml):
    driver = fake_nvml()
    process = client(
        driver,
        f"pynvml.{SET}(board, 300_000); pynvml.nvmlDeviceSetPersistenceMode(board, 0); "
        "pynvml.nvmlDeviceGetPowerUsage(board); pynvml.nvmlShutdown()",
    )
    end(process)
    calls = driver.calls()
    assert [(call.function, call.uuid, call.argument, call.code) for call in calls] == [
        ("nvmlInit", "-", 0, 0),
        (SET, driver.uuid(), 300_000, 0),
        ("nvmlDeviceSetPersistenceMode", driver.uuid(), 0, 0),
        ("nvmlShutdown", "-", 0, 0),
    ]
    assert {call.pid for call in calls} == {process.pid}
    assert all(before.at_seconds <= after.at_seconds for before, after in pairwise(calls))


def test_a_driver_made_anew_in_one_process_takes_the_place_of_the_one_before(nvml_here):
    first = nvml_here()
    pynvml.nvmlDeviceSetPowerManagementLimit(handle(), 300_000)
    kept = first.board().limit_mw
    nvml_here({"limit_mw": 500_000})
    assert (kept, pynvml.nvmlDeviceGetPowerManagementLimit(handle())) == (300_000, 500_000)
