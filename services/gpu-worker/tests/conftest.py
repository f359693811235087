"""The driver of fake_nvml/ for the unmodified pynvml, in any process; and how a process is made to stand still."""

import ctypes
import os
import signal
from pathlib import Path

import pynvml
import pytest


@pytest.fixture(scope="session")
def freeze():
    """Stops a process; returns once it stands still, so that it cannot act on what is done to another next."""

    def freeze(process):
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

    return freeze


@pytest.fixture(scope="session")
def nvml_driver(module_at):
    """The module fake_nvml/driver.py."""
    return module_at(Path(__file__).parent / "fake_nvml/driver.py")


@pytest.fixture(scope="session")
def nvml_library(nvml_driver, tmp_path_factory):
    library = nvml_driver.compiled(tmp_path_factory.mktemp("nvml"))
    if library is None:
        pytest.skip("no C compiler to build a driver with")
    return library


@pytest.fixture
def fake_nvml(nvml_driver, nvml_library, tmp_path):
    """Makes a driver with boards: an H100 each, but for what is given."""

    def make(*boards: dict):
        return nvml_driver.FakeNvml(nvml_library, tmp_path, boards or ({},))

    return make


@pytest.fixture
def nvml_here(fake_nvml, monkeypatch):
    """As `fake_nvml`, with the driver in this very process: pynvml has loaded it."""

    def make(*boards: dict):
        made = fake_nvml(*boards)
        library = ctypes.CDLL(str(made.library))
        library.fake_nvml_open(os.fsencode(made.state_path), os.fsencode(made.log_path))
        monkeypatch.setattr(pynvml, "nvmlLib", library)
        monkeypatch.setattr(pynvml, "_nvmlLib_refcount", 0)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        return made

    return make
