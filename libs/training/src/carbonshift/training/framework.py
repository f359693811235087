"""What is asked of torch, each with an answer where torch is absent or does not say. Slow path only.

It never imports torch: a process that has not is no training process.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = [
    "has_captured_graphs",
    "inside_backward",
    "memory_used_bytes",
    "place",
    "processes_here",
    "synchronize",
    "true_of_all_ranks",
    "uncompiled",
    "uses_cuda",
]


def uncompiled(function: Callable[[], None]) -> Callable[[], None]:
    """`function`, kept out of compiled graphs: dynamo breaks the graph there instead of tracing into it.

    torch's own decorator imports dynamo at the first call; the public one at once, which would slow `import torch`.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return function
    disable: Callable[[Callable[[], None]], Callable[[], None]] = getattr(torch, "_disable_dynamo", None) or (
        torch.compiler.disable
    )
    return disable(function)


def inside_backward() -> bool:
    """Whether this thread is within a backward pass, collectives pending perhaps. False where torch cannot tell."""
    c = getattr(sys.modules.get("torch"), "_C", None)
    current = getattr(c, "_current_graph_task_id", None)
    return current is not None and current() != -1


def synchronize() -> None:
    """Wait until the devices that hold tensors of this process have no work left."""
    for index in _devices_in_use():
        sys.modules["torch"].cuda.synchronize(index)


def memory_used_bytes() -> int:
    """CUDA memory allocated on all devices; the process's resident set where none is in use."""
    devices = _devices_in_use()
    if devices:
        return sum(sys.modules["torch"].cuda.memory_allocated(index) for index in devices)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def uses_cuda() -> bool:
    """Whether a tensor of this process is on a CUDA device."""
    return bool(_devices_in_use())


def has_captured_graphs() -> bool:
    """Whether CUDA memory lies in a pool of its own, as that of captured graphs does."""
    pools = (segment.get("segment_pool_id", (0, 0)) for segment in sys.modules["torch"].cuda.memory_snapshot())
    return any(tuple(pool) != (0, 0) for pool in pools)


def true_of_all_ranks(here: bool) -> bool:  # noqa: FBT001
    """Whether `here` is true on every rank of the process group, each of which asks; `here` where there is no group."""
    distributed = _distributed()
    if distributed is None:
        return here
    told: list[bool] = [False] * distributed.get_world_size()
    distributed.all_gather_object(told, here)
    return all(told)


def processes_here() -> int:
    """How many ranks of the job this host has, as its launcher tells; 1 where it does not."""
    told = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, int(told)) if told.isdecimal() else 1


def place() -> tuple[int, int]:
    """This process's (rank, world size): the process group's, or the launcher's RANK and WORLD_SIZE, or (0, 1)."""
    if (distributed := _distributed()) is not None:
        return distributed.get_rank(), distributed.get_world_size()
    try:
        rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        return 0, 1
    return (rank, world_size) if 0 <= rank < world_size else (0, 1)


def _distributed() -> Any:
    """torch.distributed where there is a process group; else None."""
    distributed = sys.modules.get("torch.distributed")
    there = distributed is not None and distributed.is_available() and distributed.is_initialized()
    return distributed if there else None


def _devices_in_use() -> list[int]:
    """Asking a device that is not in use to synchronise would make a context there, hundreds of MiB of it."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return []
    return [index for index in range(cuda.device_count()) if cuda.memory_allocated(index) > 0]
