"""Trains a ResNet-18 (He et al. 2015, arXiv 1512.03385) on synthetic images: an ordinary script.

The images are a fixed pool drawn from a seeded generator, their labels random, so the loss falls as the net learns them
by heart. It prints the loss as it goes, and at the end the SHA-256 of the parameters: two runs alike print the same.
"""

import argparse
import hashlib
import itertools
import signal

import torch
from torch import Tensor, nn
from torch.nn import functional

POOL = 256
CLASSES = 10


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: (n, `inputs`, h, w) to (n, `outputs`, h / `stride`, w / `stride`)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def resnet18(classes: int) -> nn.Sequential:
    """ResNet-18 with its ImageNet stem: (n, 3, h, w) to (n, `classes`)."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, padding=1),
    ]
    width = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(width, outputs, stride), Block(outputs, outputs, 1)]
        width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def digest(model: nn.Module) -> str:
    """SHA-256 over the parameters and buffers, in their order."""
    sha = hashlib.sha256()
    for tensor in model.state_dict().values():
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description="Train a ResNet-18 on synthetic images.")
    parser.add_argument("--steps", type=int, default=200, help="0 trains until SIGTERM")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=32, help="height and width in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it to torch")
    parser.add_argument("--log-every", type=int, default=10, metavar="STEPS")
    options = parser.parse_args()

    leaving = False

    def leave(_signal: int, _frame: object) -> None:
        nonlocal leaving
        leaving = True

    signal.signal(signal.SIGTERM, leave)
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(options.seed)
    images = torch.randn(POOL, 3, options.image_size, options.image_size, generator=generator).to(device)
    labels = torch.randint(CLASSES, (POOL,), generator=generator).to(device)

    model = resnet18(CLASSES).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    print(f"ResNet-18 on {device}, {options.batch_size} images of {options.image_size} px a step", flush=True)
    done = 0
    for step in itertools.count(1):
        if leaving or (options.steps and step > options.steps):
            break
        chosen = torch.randint(POOL, (options.batch_size,), generator=generator).to(device)
        loss = functional.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done = step
        if step % options.log_every == 0:
            print(f"step {step} loss {loss.item():.6f}", flush=True)
    print(f"{done} steps, parameters {digest(model)}", flush=True)


if __name__ == "__main__":
    main()
