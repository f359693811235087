"""A training of several ranks over gloo: `ranks.py DDP|FSDP STEPS FOLDER [TIMEOUT_SECONDS [STEP_SECONDS]]`.

Rank 0 writes its losses and a digest of all parameters to FOLDER/result once done; the exit code may be gloo's own.
Each rank begins where FOLDER/RANK.pt says, if there is one, and may be left at the end of each iteration.
"""

import hashlib
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from carbonshift.training import leave_if_asked


def main() -> None:
    kind, steps, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    timeout_seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 60.0
    step_seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    distributed.init_process_group("gloo", timeout=timedelta(seconds=timeout_seconds))
    rank = distributed.get_rank()
    torch.manual_seed(0)
    layers = [torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(32, 1)]
    model = torch.nn.Sequential(*layers)
    if kind == "DDP":
        trained = DistributedDataParallel(model)
    else:
        trained = model
        fully_shard(trained)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    torch.manual_seed(rank)
    losses = []
    saved = folder / f"{rank}.pt"

    def save() -> None:
        kept = [trained.state_dict(), optimizer.state_dict(), schedule.state_dict(), torch.get_rng_state(), losses]
        torch.save(kept, saved)

    if saved.exists():
        *states, random, losses = torch.load(saved, weights_only=False)
        for one, state in zip((trained, optimizer, schedule), states, strict=True):
            one.load_state_dict(state)
        torch.set_rng_state(random)
    for _ in range(len(losses), steps):
        batch = torch.randn(16, 32)
        loss = (trained(batch) - batch.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        time.sleep(step_seconds)
        losses.append(loss.item())
        leave_if_asked(save)
    digest = hashlib.sha256(repr(losses).encode())
    for parameter in trained.parameters():
        whole = parameter.full_tensor() if kind == "FSDP" else parameter
        digest.update(whole.detach().numpy().tobytes())
    if rank == 0:
        part = folder / "part"
        part.write_text(digest.hexdigest())
        part.rename(folder / "result")
    distributed.barrier()


main()
