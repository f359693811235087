"""What every device backend owes the worker: run over all that is registered, and over one from outside the tree."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest

from carbonshift.common.events import EnergyBasis
from carbonshift.common.plugins import load_plugin, plugin_names
from carbonshift.gpu_worker.devices.device import Backend, Device
from carbonshift.gpu_worker.errors import CapRefusedError
from carbonshift.gpu_worker.meter import Load
from carbonshift.gpu_worker.settings import GpuWorkerSettings

GROUP = "carbonshift.devices"
OUTSIDE = """
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.gpu_worker.devices.curve import scaled
from carbonshift.gpu_worker.devices.simulated import SimulatedBackend, SimulatedDevice

class Board(SimulatedDevice):
    min_limit_w, max_limit_w, default_limit_w = 60.0, 70.0, 70.0

class Backend(SimulatedBackend):
    name = "outside"

    def discover(self):
        return [Board("OUT-1", scaled(RESNET18_V100, 70 / 250))]
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution of somebody else's: one module, one entry point."""
    (tmp_path / "outside_boards.py").write_text(OUTSIDE)
    info = tmp_path / "outside_boards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-boards\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\noutside = outside_boards:Backend\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "outside_boards", raising=False)


def made(name: str) -> Backend:
    backend: Backend = load_plugin(GROUP, name)(GpuWorkerSettings(worker="bench"))
    return backend


@pytest.mark.parametrize("name", plugin_names(GROUP))
def test_a_registered_backend_keeps_its_word(name):
    keeps_its_word(name)


@pytest.mark.usefixtures("outside")
def test_a_backend_from_outside_the_tree_needs_no_edit_within():
    assert "outside" in plugin_names(GROUP)
    keeps_its_word("outside")
    (device,) = made("outside").discover()
    assert device.max_limit_w == 70.0


def keeps_its_word(name: str) -> None:
    backend = made(name)
    assert backend.name == name
    reports = backend.inspect()
    assert reports, "a backend without boards says why"
    assert all(report.backend == name for report in reports)
    assert all(report.uuid or report.lacks for report in reports)
    devices = backend.discover()
    assert len({device.uuid for device in devices}) == len(devices)
    for device in devices:
        told(device)
        if device.energy_basis is EnergyBasis.MODELLED:  # a real board's limit is not for a contract test to change
            limited(device)
            slowed(device)


def told(device: Device) -> None:
    """Readings make sense, and a reading it lacks is None."""
    assert device.uuid
    assert device.name
    assert 0 < device.min_limit_w <= device.default_limit_w <= device.max_limit_w
    assert device.persistent in (None, False, True)
    assert device.can_slow in (False, True)
    assert device.epoch >= 0
    for load in Load:
        device.note_load(load)
        power_w = device.power_w()
        assert power_w is None or power_w >= 0
    for reading in (device.energy_j(), device.enforced_limit_w(), device.memory_used_bytes()):
        assert reading is None or reading >= 0
    curve = device.curve
    assert 0 <= curve.idle_w <= curve.parked_w < curve.draw_w(device.max_limit_w) <= device.max_limit_w
    assert 0 < curve.speed(device.min_limit_w) <= curve.speed(device.max_limit_w) <= 1.0


def limited(device: Device) -> None:
    """A limit is read back as set; what lies outside the range is refused, or clamped into it."""
    found_w = device.power_limit_w()
    wanted_w = (device.min_limit_w + device.max_limit_w) / 2
    assert device.set_power_limit_w(wanted_w) == pytest.approx(wanted_w, abs=1.0)
    for outside_w in (device.min_limit_w - 10.0, device.max_limit_w + 10.0):
        with suppress(CapRefusedError):
            device.set_power_limit_w(outside_w)
        assert device.min_limit_w - 1.0 <= device.power_limit_w() <= device.max_limit_w + 1.0
    assert device.set_power_limit_w(found_w) == pytest.approx(found_w, abs=1.0)


def slowed(device: Device) -> None:
    """Clocks that can be lowered can be freed, whatever its limit is meanwhile; where they cannot be it says so."""
    found_w = device.power_limit_w()
    if not device.can_slow:
        with pytest.raises(CapRefusedError):
            device.slow_down()
        return
    device.slow_down()
    assert device.set_power_limit_w(device.min_limit_w) == pytest.approx(device.min_limit_w, abs=1.0)
    device.speed_up()
    assert device.set_power_limit_w(found_w) == pytest.approx(found_w, abs=1.0)
