"""NVML, open for good: without persistence a GPU's limits end with its last client."""

import threading
from typing import Any

__all__ = ["NvmlLink"]


class NvmlLink:
    """What the boards of a process share: a driver that was loaded anew is opened anew once, for all of them."""

    def __init__(self, nvml: Any) -> None:
        """Open it. Raises: NVMLError."""
        nvml.nvmlInit()
        self.nvml, self.epoch = nvml, 0
        self._lock = threading.Lock()

    def reopen(self, epoch: int) -> None:
        """Open it again, unless another board that knew it of the same `epoch` has done so."""
        with self._lock:
            if self.epoch == epoch:
                self.nvml.nvmlInit()
                self.epoch += 1
