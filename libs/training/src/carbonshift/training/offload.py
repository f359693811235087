"""What a process holds on its devices, put into host memory and brought back, in place, and checked by checksum.

Storages are emptied and filled again, so that tensors, views and tied weights stay the objects that they are; their
addresses change. Only what modules and optimizers hold is moved: parameters, buffers, gradients, optimizer state. Where
no other device is in use tensors in host memory stand in for its own: that frees nothing, and shows that nothing is
lost.
"""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from carbonshift.training import framework

__all__ = ["ROOM_SECONDS", "CannotOffloadError", "CorruptedError", "Shelf", "put_away"]

WEIGHTS: Final = 1 << 20
"""Words that are summed at a time: 8 MiB of the device, and as much for their weights and for the products."""
FACTOR: Final = 0x9E3779B97F4A7C15
"""By which the sum so far is multiplied before the next one is added: odd, so that nothing is lost."""
MODULO: Final = 1 << 64
TRIES: Final = 3
ROOM: Final = 0.9
"""Of the free host memory, at most."""
ROOM_SECONDS: Final = 0.5
"""Between two looks whether the device has room again."""


class CannotOffloadError(Exception):
    """All is where it was; the text says why it stays there."""


class CorruptedError(RuntimeError):
    """What came back is not what was put away: this training cannot go on as if nothing had been."""


@dataclass(frozen=True, slots=True)
class _Away:
    storage: Any
    host: Any
    checksum: int


class Shelf:
    """What has been put away."""

    def __init__(self, away: list[_Away]) -> None:
        self._away = away
        self.bytes = sum(one.host.numel() for one in away)

    def brought_back(self) -> bool:
        """Bring all of it back; False where the device has no room now: what fits is back, the rest still put away.

        Raises: CorruptedError.
        """
        torch = sys.modules["torch"]
        sums = _Checksums(torch)
        with torch.inference_mode(mode=False), torch.no_grad():
            while self._away:
                try:
                    _bring_back(self._away[-1], sums)
                except torch.cuda.OutOfMemoryError:
                    torch.cuda.empty_cache()
                    return False
                self._away.pop()
        return True


def put_away() -> Shelf:
    """Put away all that modules and optimizers hold on the devices in use. Raises: CannotOffloadError."""
    torch = sys.modules.get("torch")
    if torch is None:
        raise CannotOffloadError("there is no torch in it")
    kind = "cuda" if framework.uses_cuda() else "cpu"
    away: list[_Away] = []
    try:
        with torch.inference_mode(mode=False), torch.no_grad():
            for storage, sums in _movable(torch, kind):
                away.append(_put_away(torch, storage, sums))
            if kind == "cuda":
                framework.synchronize()
                torch.cuda.empty_cache()
    except CannotOffloadError:
        raise
    except Exception as error:  # a module of the user's that is like no other, no memory to be pinned
        while not Shelf(away).brought_back():
            time.sleep(ROOM_SECONDS)
        raise CannotOffloadError(f"it cannot be moved: {error!r}") from error
    return Shelf(away)


def _movable(torch: Any, kind: str) -> Iterator[tuple[Any, "_Checksums"]]:
    """The storages to move, once it is known that they can be."""
    if kind == "cuda" and framework.has_captured_graphs():
        raise CannotOffloadError("CUDA graphs were captured, which know where its tensors are")
    storages, sums = list(_storages(torch, kind)), _Checksums(torch)
    needed, free = sum(storage.nbytes() for storage in storages), _free_host_bytes() // framework.processes_here()
    if not storages:
        raise CannotOffloadError("no module or optimizer was found that holds anything there")
    if needed > ROOM * free:
        raise CannotOffloadError(f"host memory has {free / 2**30:.1f} GiB for it, and it takes {needed / 2**30:.1f}")
    for storage in storages:
        yield storage, sums


def _put_away(torch: Any, storage: Any, sums: "_Checksums") -> _Away:
    flat = _bytes_of(torch, storage)
    host = torch.empty(flat.numel(), dtype=torch.uint8, device="cpu", pin_memory=flat.is_cuda)
    host.copy_(flat)
    away = _Away(storage, host, sums.of(flat))
    del flat
    storage.resize_(0)
    return away


def _bring_back(away: _Away, sums: "_Checksums") -> None:
    torch, storage, host = sys.modules["torch"], away.storage, away.host
    if storage.nbytes() != host.numel():
        storage.resize_(host.numel())
    flat = _bytes_of(torch, storage)
    for _ in range(TRIES):
        flat.copy_(host)
        if sums.of(flat) == away.checksum:
            return
    raise CorruptedError(
        f"{host.numel()} bytes came back from host memory changed; begin again from the last checkpoint,"
        " and test the memory of this host"
    )


def _bytes_of(torch: Any, storage: Any) -> Any:
    """All of `storage`: shape (bytes,), uint8. A tensor of its own, so that no other one's version changes."""
    empty = torch.empty(0, dtype=torch.uint8, device=storage.device)
    return empty.set_(storage, 0, (storage.nbytes(),), (1,))


class _Checksums:
    """A sum of words, each weighted by a random odd number, modulo 2^64: a word that has moved or changed shows.

    Source: multilinear hashing, Lemire and Kaser, Strongly universal string hashing is fast, arXiv 1202.4961.
    """

    def __init__(self, torch: Any) -> None:
        self._torch, self._weights = torch, {}  # type: ignore[var-annotated]

    def of(self, flat: Any) -> int:
        """The checksum of bytes of shape (n,), where they are."""
        whole = flat.numel() // 8 * 8
        total = int.from_bytes(bytes(flat[whole:].tolist()), "little")
        for words in flat[:whole].view(self._torch.int64).split(WEIGHTS):
            part = (words * self._on(flat.device)[: words.numel()]).sum()
            total = (total * FACTOR + int(part)) % MODULO
        return total

    def _on(self, device: Any) -> Any:
        if device not in self._weights:
            torch = self._torch
            seeded = torch.Generator(device="cpu").manual_seed(0)  # the training's own stays as it is
            spread = torch.randint(-(1 << 62), 1 << 62, (WEIGHTS,), generator=seeded, dtype=torch.int64, device="cpu")
            self._weights[device] = (2 * spread + 1).to(device)
        return self._weights[device]


def _storages(torch: Any, kind: str) -> Iterator[Any]:
    """Each storage on the devices of `kind` once that can be emptied."""
    seen = set()
    for tensor in _tensors(torch):
        storage = tensor.untyped_storage()
        if tensor.device.type != kind or storage.nbytes() == 0 or storage.data_ptr() in seen:
            continue
        seen.add(storage.data_ptr())
        if storage.resizable() and not (kind == "cpu" and (storage.is_shared() or tensor.is_pinned())):
            yield storage


def _tensors(torch: Any) -> Iterator[Any]:
    """What modules and optimizers hold."""
    module, optimizer = torch.nn.Module, torch.optim.Optimizer
    for one in gc.get_objects():
        kind = type(one)  # `isinstance` would ask lazy stand-ins of other packages for their class
        if issubclass(kind, module):
            with suppress(AttributeError):  # one that is not made yet holds nothing
                # as torch has them, whatever a class makes of their names
                for tensor in (*module.parameters(one, recurse=False), *module.buffers(one, recurse=False)):
                    yield from _plain(torch, [tensor, tensor.grad if tensor.is_leaf else None])
        elif issubclass(kind, optimizer):
            with suppress(AttributeError):
                parameters = [parameter for group in one.param_groups for parameter in group["params"]]
                grads = [each.grad for each in parameters if each.is_leaf]
                yield from _plain(torch, [dict(one.state), parameters, grads])


def _plain(torch: Any, value: Any) -> Iterator[Any]:
    """The tensors in `value` that have a storage: those within a subclass such as DTensor instead of it."""
    if isinstance(value, torch.Tensor):
        if torch.nn.parameter.is_lazy(value):
            return
        if hasattr(type(value), "__tensor_flatten__"):
            names, _ = value.__tensor_flatten__()
            for name in names:
                yield from _plain(torch, getattr(value, name))
        elif value.layout is torch.strided and value.device.type != "meta":
            yield value
    elif isinstance(value, dict):
        for one in list(value.values()):
            yield from _plain(torch, one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _plain(torch, one)


def _free_host_bytes() -> int:
    """What the kernel, and the control group of this process where it has one, still give."""
    kernel = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    free = int(kernel["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup") / Path("/proc/self/cgroup").read_text(encoding="utf-8").strip().rpartition("::/")[2]
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except OSError:  # another version of control groups, or none
        return free
    return free if limit == "max" else min(free, int(limit) - used)
