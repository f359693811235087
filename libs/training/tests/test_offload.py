"""Putting a real torch model away and bringing it back: in this process, and in one whose agent wants it so."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from carbonshift.training import offload
from carbonshift.training.launch import training_environment
from carbonshift.training.offload import CannotOffloadError, CorruptedError, put_away
from carbonshift.training.page import AWAY_BYTES, CANNOT, DOWN_US, HOLD, OFFLOAD, PARKED, RUN, TIER, UP_US


class Tied(torch.nn.Module):
    """Two layers that share a weight, a buffer, and odd sizes."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(7, 7)
        self.second = torch.nn.Linear(7, 7)
        self.second.weight = self.first.weight
        self.register_buffer("seen", torch.arange(3, dtype=torch.uint8))

    def forward(self, x):
        return self.second(self.first(x))


@pytest.fixture
def trained():
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.randn(5, 7)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def everything(model, optimizer):
    state = [value for each in optimizer.state.values() for value in each.values()]
    return [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters()), *state]


def test_all_that_is_held_is_put_away_once_and_comes_back_the_same(trained):
    model, optimizer = trained
    tensors = everything(model, optimizer)
    view = model.first.weight[2:]
    before, versions = [tensor.clone() for tensor in tensors], [tensor._version for tensor in tensors]
    view_before = view.clone()
    random_before = torch.get_rng_state()
    shelf = put_away()
    assert all(tensor.untyped_storage().nbytes() == 0 for tensor in tensors)
    assert shelf.bytes >= sum(tensor.nbytes for tensor in {id(tensor): tensor for tensor in tensors}.values())
    assert shelf.brought_back()
    assert all(map(torch.equal, tensors, before))
    assert torch.equal(view, view_before)
    assert model.second.weight is model.first.weight
    assert [tensor._version for tensor in tensors] == versions
    assert torch.equal(torch.get_rng_state(), random_before)


def test_what_numpy_holds_too_stays_where_it_is(trained):
    model, _ = trained
    held = model.first.bias.detach().numpy()
    before = held.copy()
    shelf = put_away()
    assert (held == before).all()
    assert model.first.weight.untyped_storage().nbytes() == 0
    assert shelf.brought_back()


@pytest.mark.parametrize("byte", [0, 100, -1])
def test_a_bit_that_has_turned_over_meanwhile_is_found(trained, byte):
    shelf = put_away()
    hosts = [one.host for one in shelf._away]
    damaged = max(hosts, key=torch.Tensor.numel)
    damaged[byte] ^= 1
    with pytest.raises(CorruptedError, match="changed; begin again from the last checkpoint"):
        shelf.brought_back()
    damaged[byte] ^= 1
    assert shelf.brought_back()


def test_words_that_have_changed_places_are_found():
    sums = offload._Checksums(torch)
    words = torch.arange(offload.WEIGHTS + 100, dtype=torch.int64)
    swapped = words.clone()
    swapped[[0, 1]], swapped[-1], swapped[-2] = swapped[[1, 0]], words[-2].item(), words[-1].item()
    assert sums.of(words.view(torch.uint8)) == sums.of(words.clone().view(torch.uint8))
    assert sums.of(words.view(torch.uint8)) != sums.of(swapped.view(torch.uint8))


SHORT_OF_MEMORY = """
import resource, torch
from pathlib import Path
from carbonshift.training.offload import CannotOffloadError, put_away
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(8192, 8192))
before = [p[:64].clone() for p in model.parameters()]
put_away().brought_back()
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + 100 * 2**20,) * 2)
try:
    put_away()
except CannotOffloadError as error:
    print(error)
assert all(torch.equal(now[:64], then) for now, then in zip(model.parameters(), before))
print("all there")
"""


def test_short_of_host_memory_halfway_all_goes_back():
    done = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True, check=True)
    assert "it cannot be moved" in done.stdout
    assert done.stdout.endswith("all there\n")


def test_more_than_the_host_has_free_is_not_begun_with(trained, monkeypatch):
    monkeypatch.setattr(offload, "ROOM", 0.0)
    model, optimizer = trained
    with pytest.raises(CannotOffloadError, match="host memory has"):
        put_away()
    assert all(tensor.untyped_storage().nbytes() for tensor in everything(model, optimizer))


TRAINING = """
import hashlib, signal, sys, torch
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 1))
optimizer = torch.optim.AdamW(model.parameters())
signal.signal(signal.SIGUSR1, lambda *_: print("sees", model[0].weight.sum().isfinite().item(), flush=True))
signal.signal(signal.SIGTERM, lambda *_: (print("saves", model[0].weight.numel(), flush=True), sys.exit(3)))
for _ in range(20):
    optimizer.zero_grad()
    model(torch.randn(8, 16)).square().mean().backward()
    optimizer.step()
print(hashlib.sha256(b"".join(t.numpy().tobytes() for t in model.state_dict().values())).hexdigest())
"""


@pytest.fixture
def training(agent):
    started = []

    def run():
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINING],
            env=training_environment(agent.path, os.environ, "job"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def parked(agent, step, tier):
    agent.quiet(step)
    agent.words[TIER] = tier
    agent.process.send(b".")
    while agent.words[PARKED] != tier:
        assert agent.process.recv(256), "the process is gone"


def test_offloaded_in_its_pauses_it_ends_with_the_very_parameters(agent, training):
    left_alone = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True, check=True).stdout
    process = training()
    agent.admit(target=0)
    for step in (1, 2, 7):
        parked(agent, step, OFFLOAD)
        assert agent.words[AWAY_BYTES] > 0
        parked(agent, step, HOLD)
        assert agent.words[AWAY_BYTES] == 0
        parked(agent, step, OFFLOAD)
        agent.release(RUN if step == 7 else step + 1 if step == 1 else 7)
    out, err = process.communicate(timeout=60)
    assert (out, err) == (left_alone, "")
    assert (agent.words[CANNOT], agent.words[PARKED]) == (0, HOLD)
    assert min(agent.words[DOWN_US], agent.words[UP_US]) > 0


def test_a_signals_handler_finds_the_model_in_its_place(agent, training):
    process = training()
    agent.admit(target=0)
    parked(agent, 1, OFFLOAD)
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "sees True\n"
    while agent.words[PARKED] != OFFLOAD:  # and then it waits as before
        assert agent.process.recv(256), "the process is gone"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, "saves 256\n")


def test_an_agent_that_dies_gets_the_model_brought_back(agent, training):
    process = training()
    agent.admit(target=0)
    parked(agent, 1, OFFLOAD)
    agent.listener.close()
    agent.process.close()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, len(out.split())) == (0, 1)
    assert err == "carbonshift: the agent is gone; the training goes on by itself\n"


def test_what_has_nothing_to_put_away_says_so_and_waits_as_it_is(agent, loop):
    process = loop("from loop_hook import Loop\nsession()\nLoop.step()\nprint('done')\n")
    agent.admit(target=0)
    agent.quiet(1)
    agent.words[TIER] = OFFLOAD
    agent.process.send(b".")
    while not agent.words[CANNOT]:
        assert agent.process.recv(256), "the process is gone"
    assert agent.words[CANNOT] == 1 << OFFLOAD
    agent.release(RUN)
    assert process.communicate(timeout=60) == (
        "done\n",
        "carbonshift: this training stays on its device: there is no torch in it\n",
    )
