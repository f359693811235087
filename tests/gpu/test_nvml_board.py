"""What only a real board can show: `make test-gpu`. No limit is changed unless CARBONSHIFT_GPU_ALLOW_LIMITS=1."""

import json
import os
import subprocess
import sys
import time

import pynvml
import pytest

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.devices.report import Rung
from carbonshift.gpu_worker.privilege import CAP_SYS_ADMIN, effective

pytestmark = pytest.mark.gpu

ALLOWED = os.environ.get("CARBONSHIFT_GPU_ALLOW_LIMITS") == "1"  # read now: tests see none of the user's settings
WATCHED_SECONDS = 5.0
UNPRIVILEGED = """
import ctypes, json
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.errors import CapRefusedError
assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
told = {}
for device in NvmlBackend().discover():
    stands_w = device.power_limit_w()
    try:
        device.set_power_limit_w(stands_w)
        told[device.uuid] = "taken"
    except CapRefusedError as error:
        told[device.uuid] = error.remedy
print(json.dumps(told))
"""
"""Without any capability: what comes of asking each board for the limit that it has, which changes nothing."""


@pytest.fixture(scope="module")
def reports():
    found = NvmlBackend().inspect()
    if not any(report.uuid for report in found):
        pytest.skip("; ".join(lack.what for report in found for lack in report.lacks))
    if hasattr(pynvml.nvmlLib, "fake_nvml_open"):  # a library is found by its name, whoever has loaded it
        pytest.skip("this process has a stand-in for the driver loaded, from other tests: run `make test-gpu`")
    return {report.uuid: report for report in found if report.uuid}


@pytest.fixture(scope="module")
def devices(reports):
    found = NvmlBackend().discover()
    if not found:
        pytest.skip("no board here can be driven: see `carbonshift doctor`")
    return found


def test_each_board_says_what_it_can_and_what_to_do_about_the_rest(reports):
    for uuid, report in reports.items():
        assert uuid.startswith("GPU-")
        assert report.name
        assert report.pci_bus_id
        assert all(lack.what and lack.remedy for lack in report.lacks)
        assert report.sets_limit == (report.rung is Rung.POWER_LIMIT)
        if report.sets_limit:
            assert report.min_limit_w <= report.power_limit_w <= report.max_limit_w
            assert report.enforced_limit_w <= report.max_limit_w


def test_every_driven_board_is_reported(devices, reports):
    assert {device.uuid for device in devices} <= reports.keys()


def test_telemetry_makes_sense(devices, reports):
    for device in devices:
        if reports[device.uuid].reads_power:
            assert 0.0 < device.power_w() < 2.0 * device.max_limit_w
        assert device.memory_used_bytes() is None or device.memory_used_bytes() >= 0
        assert all(pid > 0 for pid in device.process_ids())
        assert device.min_limit_w <= device.default_limit_w <= device.max_limit_w


def test_the_energy_counter_agrees_with_power_over_time(devices, reports):
    """Within a factor of two: sensors sample a part of the time, and cards have disagreed by 43 % at idle."""
    counted = [
        device
        for device in devices
        if reports[device.uuid].energy_basis is EnergyBasis.MEASURED and reports[device.uuid].reads_power
    ]
    if not counted:
        pytest.skip("no board here has both an energy counter and a power reading")
    for device in counted:
        began, before_j, power_w = time.monotonic(), device.energy_j(), []
        while time.monotonic() - began < WATCHED_SECONDS:
            power_w.append(device.power_w())
            time.sleep(0.05)
        counted_j, seconds = device.energy_j() - before_j, time.monotonic() - began
        integrated_j = sum(power_w) / len(power_w) * seconds
        assert 0.5 < counted_j / integrated_j < 2.0, device.uuid


def test_without_the_privilege_every_limit_is_refused(devices):
    """It asks for the limit that stands."""
    run = subprocess.run([sys.executable, "-c", UNPRIVILEGED], capture_output=True, text=True, check=True)
    told = json.loads(run.stdout)
    limited = [device.uuid for device in devices if device.rung is Rung.POWER_LIMIT]
    if not limited:
        pytest.skip("no board here takes a power limit")
    assert all("CAP_SYS_ADMIN" in told[uuid] for uuid in limited), told


def test_a_limit_is_set_read_back_and_given_back(devices):
    if not ALLOWED:
        pytest.skip("limits are changed only with CARBONSHIFT_GPU_ALLOW_LIMITS=1")
    if not effective() >> CAP_SYS_ADMIN & 1:
        pytest.skip("setting a limit needs CAP_SYS_ADMIN")
    limited = [device for device in devices if device.rung is Rung.POWER_LIMIT]
    if not limited:
        pytest.skip("no board here takes a power limit")
    for device in limited:
        found_w = device.power_limit_w()
        wanted_w = max(device.min_limit_w, found_w - 10.0)
        try:
            assert device.set_power_limit_w(wanted_w) == pytest.approx(wanted_w, abs=1.0)
            assert device.enforced_limit_w() <= wanted_w + 1.0
        finally:
            assert device.set_power_limit_w(found_w) == pytest.approx(found_w, abs=0.5)
