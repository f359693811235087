"""Injected into a training's interpreter through PYTHONPATH: inert unless CARBONSHIFT_CONTROL is set.

It stands in the training environment, whose Python may be older than ours and which may lack every distribution of
ours: what it needs it finds beside itself, and nothing of ours goes on `sys.path`.
"""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["autoload"]

NAMESPACE = "carbonshift"
ENTRY = NAMESPACE + ".training.autoload"


def autoload() -> None:
    """The entry point in group `torch.backends`. An error that left it would break `import torch`."""
    if not os.environ.get("CARBONSHIFT_CONTROL"):
        return
    try:
        _entry().autoload()
    except Exception as error:  # noqa: BLE001  whatever it is, the training matters more
        print(f"carbonshift: not under control: {error!r}", file=sys.stderr)  # noqa: T201


def _entry() -> ModuleType:
    """The user's own installation where there is one: their script may speak to it; else the files beside this one."""
    try:
        return importlib.import_module(ENTRY)
    except ImportError:
        ours = str(Path(__file__).resolve().parents[2])
        try:
            namespace = importlib.import_module(NAMESPACE)  # another part of ours is installed there
            namespace.__path__.append(ours)
        except ImportError:
            namespace = sys.modules[NAMESPACE] = ModuleType(NAMESPACE)
            namespace.__path__ = [ours]
        return importlib.import_module(ENTRY)
