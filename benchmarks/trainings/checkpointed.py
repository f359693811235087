"""The example's ResNet-18, stopped the way it is done today: `checkpointed.py FILE IMAGES THREADS`.

Where FILE is there, model and optimizer go on from it. It prints "stepped" after its first step, and on SIGUSR1 saves
both after the step in flight, prints "saved" and goes on, to be killed.
"""

import signal
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import torch
from torch.nn import functional

EXAMPLE = Path(__file__).parents[2] / "examples/resnet18.py"


def main() -> None:
    """Train for ever."""
    path, images, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    example = SourceFileLoader("resnet18", str(EXAMPLE)).load_module()
    asked = False

    def ask(_signal: int, _frame: object) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGUSR1, ask)
    if threads:
        torch.set_num_threads(threads)
    model = example.resnet18(example.CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    if path.exists():
        saved = torch.load(path)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    stepped = False
    while True:
        batch, labels = torch.randn(images, 3, 32, 32), torch.randint(example.CLASSES, (images,))
        optimizer.zero_grad()
        functional.cross_entropy(model(batch), labels).backward()
        optimizer.step()
        if not stepped:
            stepped = True
            print("stepped", flush=True)
        if asked:
            asked = False
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
            print("saved", flush=True)


main()
