"""What only a real GPU can show of a pause: the model stays in its memory, the loss goes on, a step costs no more."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from carbonshift.common.events import RunState
from carbonshift.gpu_worker.devices.nvml import NvmlBackend
from carbonshift.gpu_worker.errors import CannotParkError
from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.training.launch import training_environment

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
PATIENCE_SECONDS = 120.0
MODEL_BYTES = 4 * 4 * 2_048 * 2_048
TRAINING = f"""
import hashlib, json, sys, time
import torch
steps = int(sys.argv[1])
torch.use_deterministic_algorithms(True)
torch.manual_seed(0)
layers = [torch.nn.Linear(2_048, 2_048, bias=False) for _ in range(4)]
model = torch.nn.Sequential(*layers).to("{DEVICE}")
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
batch = torch.randn(256, 2_048, device="{DEVICE}")
losses, began = [], 0.0
for step in range(steps):
    if step == 20:
        float(losses[-1])
        began = time.perf_counter()
    optimizer.zero_grad()
    loss = (model(batch) - batch).square().mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.detach())
final = [float(loss) for loss in losses]
seconds = (time.perf_counter() - began) / (steps - 20)
weights = hashlib.sha256(b"".join(p.detach().cpu().numpy().tobytes() for p in model.parameters())).hexdigest()
print(json.dumps([final, weights, seconds]))
"""
"""Losses, a digest of the final weights, and the mean seconds a step."""
GRAPHED = """
import json, torch
model = torch.nn.Linear(256, 256).cuda()
optimizer = torch.optim.Adam(model.parameters(), capturable=True)
batch = torch.randn(64, 256, device="cuda")
def step():
    optimizer.zero_grad()
    model(batch).square().mean().backward()
aside = torch.cuda.Stream()
with torch.cuda.stream(aside):
    step()
torch.cuda.synchronize()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    step()
for _ in range(20_000):
    graph.replay()
    optimizer.step()
print(json.dumps("trained" if model.weight.isfinite().all() else "lost"))
"""


@pytest.fixture(scope="module", autouse=True)
def _a_gpu():
    ask = f"import torch; raise SystemExit(not getattr(torch, '{DEVICE}').is_available())"
    if subprocess.run([sys.executable, "-c", ask], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("torch finds no GPU here: it is not installed, or built for CPUs alone")


@pytest.fixture
async def control(tmp_path):
    control = TrainingControl()
    await control.start(tmp_path / "control")
    yield control
    await control.close()


async def training(steps, environment, script=TRAINING):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        str(steps),
        env=os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} | environment,
        stdout=subprocess.PIPE,
    )


async def outcome(process):
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


async def joined(control):
    async with asyncio.timeout(PATIENCE_SECONDS):
        return (await control.changes.get()).view


async def test_a_paused_model_stays_in_the_gpu_s_memory_and_trains_on_to_the_same_weights(control, tmp_path):
    alone = await outcome(await training(2_000, {}))
    process = await training(2_000, training_environment(tmp_path / "control", os.environ, "gpu"))
    view = await joined(control)
    boards = [board for board in NvmlBackend().discover() if view.pid in board.process_ids()]
    for _ in range(3):
        receipt = await control.pause("gpu", 60)
        assert receipt.memory_used_bytes >= 3 * MODEL_BYTES  # the parameters and Adam's two moments
        assert control.jobs["gpu"].run_state is RunState.PAUSED
        used = [board.memory_used_bytes() for board in boards]
        await asyncio.sleep(2.0)
        assert [board.memory_used_bytes() for board in boards] == used
        assert all(bytes_used > receipt.memory_used_bytes for bytes_used in used)
        await control.resume("gpu")
    losses, weights, _ = await outcome(process)
    assert (losses, weights) == (alone[0], alone[1])


async def test_an_offloaded_model_frees_the_gpu_s_memory_and_trains_on_to_the_same_weights(control, tmp_path):
    alone = await outcome(await training(2_000, {}))
    process = await training(2_000, training_environment(tmp_path / "control", os.environ, "gpu"))
    view = await joined(control)
    boards = [board for board in NvmlBackend().discover() if view.pid in board.process_ids()]
    for _ in range(3):
        receipt = await control.pause("gpu", 60)
        held = [board.memory_used_bytes() for board in boards]
        freed = await control.offload("gpu")
        assert freed >= 3 * MODEL_BYTES
        after = [board.memory_used_bytes() for board in boards]
        assert all(before - now >= 3 * MODEL_BYTES for before, now in zip(held, after, strict=True))
        await control.resume("gpu")
        again = await control.pause("gpu", 60)
        assert (
            again.memory_used_bytes - receipt.memory_used_bytes < MODEL_BYTES
        )  # but for the losses of the steps since
        seconds = control.jobs["gpu"].offload_seconds
        print(f"{freed / 1e6:.0f} MB offloaded and brought back in {seconds:.3f} s")  # noqa: T201
        await control.resume("gpu")
    losses, weights, _ = await outcome(process)
    assert (losses, weights) == (alone[0], alone[1])


async def test_a_training_that_has_captured_graphs_is_not_offloaded_and_trains_on(control, tmp_path):
    process = await training(0, training_environment(tmp_path / "control", os.environ, "gpu"), GRAPHED)
    await joined(control)
    await control.pause("gpu", 60)
    with pytest.raises(CannotParkError):
        await control.offload("gpu")
    await control.resume("gpu")
    assert await outcome(process) == "trained"


async def test_a_step_under_control_takes_no_longer(control, tmp_path):
    """The median of three runs each, in turns."""
    alone, controlled = [], []
    for _ in range(3):
        alone.append((await outcome(await training(2_000, {})))[2])
        process = await training(2_000, training_environment(tmp_path / "control", os.environ, "gpu"))
        controlled.append((await outcome(process))[2])
    ratio = sorted(controlled)[1] / sorted(alone)[1]
    print(f"a step under control takes {ratio:.4f} of one left alone ({sorted(alone)[1] * 1e3:.3f} ms)")  # noqa: T201
    assert ratio < 1.05
