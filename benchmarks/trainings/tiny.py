"""A training of a tiny net that lasts until it is killed; on SIGUSR1 it prints what is alive in it, after a step.

One line of JSON: `tensors` and their `tensor_bytes`, and all `objects` of Python.
"""

import gc
import hashlib
import json
import signal
from collections.abc import Iterator

import torch

__all__ = ["digest", "train"]


def train(seed: int) -> Iterator[torch.nn.Module]:
    """The net after each step, without end."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(model.parameters())
    while True:
        loss = model(torch.randn(4, 8)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield model


def digest(model: torch.nn.Module) -> str:
    """SHA-256 over the parameters."""
    sha = hashlib.sha256()
    for parameter in model.parameters():
        sha.update(parameter.detach().numpy().tobytes())
    return sha.hexdigest()


def alive() -> dict[str, int]:
    """What this process holds."""
    gc.collect()
    objects = gc.get_objects()
    tensors = [thing for thing in objects if isinstance(thing, torch.Tensor)]
    return {
        "tensors": len(tensors),
        "tensor_bytes": sum(tensor.nbytes for tensor in tensors),
        "objects": len(objects),
    }


def main() -> None:
    """Train for ever."""
    asked = False

    def ask(_signal: int, _frame: object) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGUSR1, ask)
    torch.set_num_threads(1)
    for _ in train(0):
        if asked:
            asked = False
            print(json.dumps(alive()), flush=True)


if __name__ == "__main__":
    main()
