"""The way in where torch loads no entry points (before 2.5, TORCH_DEVICE_BACKEND_AUTOLOAD=0): waits for `import torch`.

Python runs only the first sitecustomize it finds, so this one runs the next.
"""

from __future__ import annotations  # an older Python reads this file too

import importlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

__all__: list[str] = []

HERE = Path(__file__).resolve().parent


class AfterTorch:
    """A finder that finds nothing of its own: it has `autoload` called once torch's own code has run."""

    def __init__(self, autoload: Callable[[], None]) -> None:
        self._autoload = autoload

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give."""
        if name != "torch":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                self._autoload()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def run_next() -> None:
    """Run the sitecustomize that stands behind this one on the path, in this one's place."""
    behind = [entry for entry in sys.path if Path(entry).resolve() != HERE]
    spec = PathFinder.find_spec("sitecustomize", behind)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get("CARBONSHIFT_CONTROL"):
    sys.meta_path.insert(0, AfterTorch(importlib.import_module("carbonshift_inject").autoload))
run_next()
