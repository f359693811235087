"""The driver of fake_nvml/ for the unmodified pynvml, in any process."""

import ctypes
import importlib.util
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pynvml
import pytest


def driver() -> ModuleType:
    """The module: a test folder is no package, so it is loaded from its path, once."""
    name = "carbonshift_fake_nvml"
    if name not in sys.modules:
        loader = SourceFileLoader(name, str(Path(__file__).parent / "fake_nvml/driver.py"))
        sys.modules[name] = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
        loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory):
    library = driver().compiled(tmp_path_factory.mktemp("nvml"))
    if library is None:
        pytest.skip("no C compiler to build a driver with")
    return library


@pytest.fixture
def fake_nvml(nvml_library, tmp_path):
    """Makes a driver with boards: an H100 each, but for what is given."""

    def make(*boards: dict):
        return driver().FakeNvml(nvml_library, tmp_path, boards or ({},))

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
