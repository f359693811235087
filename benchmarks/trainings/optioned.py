"""A training of one rank or, under torchrun, of several over gloo, with what options it is given.

    optioned.py STEPS FOLDER [--as DDP|FSDP2] [--timeout SECONDS] [--loader fork|spawn] [--amp bf16|fp16]
        [--compile BACKEND]

Dropout, noise from each rank's generator and a learning-rate schedule are always in. Each rank writes FOLDER/RANK, in
JSON: `losses` and `parameters`, SHA-256 over the bits; `steps` of the optimizer; `last_loss`. The exit code may be
gloo's own.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

BATCH, WIDTH = 16, 32
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Noise(Dataset[Tensor]):
    """Rows that depend on their index, and on the generator of the worker that draws them."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int) -> Tensor:
        return torch.randn(WIDTH) + index / self._rows


def batches(steps: int, workers: str | None) -> Iterable[Tensor]:
    """As many batches as steps; shuffled by workers that are forked or spawned, or without any drawn in place."""
    if workers is None:
        return (torch.randn(BATCH, WIDTH) for _ in range(steps))
    return DataLoader(
        Noise(steps * BATCH), batch_size=BATCH, shuffle=True, num_workers=2, multiprocessing_context=workers
    )


def asked() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as", choices=["DDP", "FSDP2"], dest="kind")
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--loader", choices=["fork", "spawn"])
    parser.add_argument("--amp", choices=list(DTYPES))
    parser.add_argument("--compile", metavar="BACKEND")
    return parser.parse_args()


def digest(model: nn.Module) -> str:
    """SHA-256 over the parameters, all shards of them."""
    sha = hashlib.sha256()
    for parameter in model.parameters():
        whole = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
        sha.update(whole.detach().numpy().tobytes())
    return sha.hexdigest()


def main() -> None:
    """Train as the command line says."""
    options = asked()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    rank = int(os.environ.get("RANK", "0"))
    if options.kind:
        distributed.init_process_group("gloo", timeout=timedelta(seconds=options.timeout))
    torch.manual_seed(0)
    layers = [nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout(0.1), nn.Linear(WIDTH, 1)]
    model: nn.Module = nn.Sequential(*layers)
    if options.kind == "FSDP2":
        fully_shard(model)
    trained = DistributedDataParallel(model) if options.kind == "DDP" else model
    if options.compile:
        trained = torch.compile(trained, backend=options.compile)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    scaler = torch.amp.GradScaler("cpu", enabled=options.amp == "fp16")
    cast = torch.autocast("cpu", DTYPES[options.amp]) if options.amp else nullcontext()
    steps_done = 0

    def count(_optimizer: object, _args: object, _kwargs: object) -> None:
        nonlocal steps_done
        steps_done += 1

    optimizer.register_step_post_hook(count)
    torch.manual_seed(1 + rank)
    losses = []
    for batch in batches(options.steps, options.loader):
        with cast:
            loss = (trained(batch).float() - batch.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        losses.append(loss.item())
    said = {
        "losses": hashlib.sha256(" ".join(loss.hex() for loss in losses).encode()).hexdigest(),
        "parameters": digest(model),
        "steps": steps_done,
        "last_loss": losses[-1],
    }
    part = options.folder / f"part-{rank}"
    part.write_text(json.dumps(said), encoding="ascii")
    part.rename(options.folder / str(rank))
    if options.kind:
        distributed.barrier()


if __name__ == "__main__":
    main()
