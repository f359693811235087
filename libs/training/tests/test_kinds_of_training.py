"""Trainings that are not one plain step after another: paused, each gives the bits that it gives left alone.

Every script trains each of its kinds twice: under pauses, and then without one.
"""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from carbonshift.training.launch import training_environment
from carbonshift.training.page import ACK, RUN, STEP

HEAD = """
import torch

def net(*sizes):
    layers = [torch.nn.Linear(*pair) for pair in zip(sizes, sizes[1:])]
    return torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.Tanh())])

def bits(losses, *models):
    parameters = [parameter for model in models for parameter in model.parameters()]
    return [loss.item().hex() for loss in losses], [p.detach().numpy().tobytes() for p in parameters]

def verdict(first, second):
    return "same" if first == second and first[0] else "different"
"""

SHAPES_OF_A_STEP = """
def accumulated():
    model, losses = net(4, 8, 1), []
    optimizer = torch.optim.AdamW(model.parameters())
    for batch in range(12):
        loss = model(torch.randn(2, 4)).square().mean()
        (loss / 3).backward()
        losses.append(loss)
        if batch % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
    return bits(losses, model)

def gan():
    generator, critic, losses = net(2, 8, 4), net(4, 8, 1), []
    ours, theirs = torch.optim.Adam(generator.parameters()), torch.optim.Adam(critic.parameters())
    for _ in range(4):
        for optimizer, sign in ((theirs, 1), (ours, -1)):
            optimizer.zero_grad()
            loss = sign * (critic(generator(torch.randn(8, 2))) - critic(torch.randn(8, 4))).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss)
    return bits(losses, generator, critic)

def lbfgs():
    model, x, losses = net(4, 8, 1), torch.randn(16, 4), []
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5, line_search_fn="strong_wolfe")
    def closure():
        optimizer.zero_grad()
        losses.append((model(x) - 0.5).square().mean())
        losses[-1].backward()
        return losses[-1]
    for _ in range(4):
        optimizer.step(closure)
    assert len(losses) > 8
    return bits(losses, model)

def compiled():
    model, losses = net(4, 8, 1), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    fast = torch.compile(model, backend="aot_eager")
    for _ in range(4):
        loss = fast(torch.randn(8, 4)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
    return bits(losses, model)

def all_of_them():
    results = {}
    for kind in (accumulated, gan, lbfgs, compiled):
        torch.manual_seed(0)
        results[kind.__name__] = kind()
    return results

first, second = all_of_them(), all_of_them()
print(*(f"{kind} {verdict(first[kind], second[kind])}" for kind in first))
"""

WORKERS = """
from torch.utils.data import DataLoader, Dataset, RandomSampler

class Squares(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.arange(4.0) * index / 8

def train(loader):
    torch.manual_seed(0)
    loader.sampler.generator.manual_seed(0)
    model, losses = net(4, 8, 1), []
    optimizer = torch.optim.AdamW(model.parameters())
    for batch in loader:
        loss = model(batch).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
    return bits(losses, model)

if __name__ == "__main__":
    squares = Squares()
    for context in ("fork", "spawn"):
        loader = DataLoader(
            squares, batch_size=2, sampler=RandomSampler(squares, generator=torch.Generator()), num_workers=1,
            persistent_workers=True, multiprocessing_context=context)
        print(context, verdict(train(loader), train(loader)))
"""

IN_A_DEBUGGER = """
def train(first):
    torch.manual_seed(0)
    model, losses = net(4, 8, 1), []
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(4):
        loss = model(torch.randn(2, 4)).square().mean()
        loss.backward()
        if first and step == 1:
            breakpoint()
        optimizer.step()
        losses.append(loss)
    return bits(losses, model)

print(verdict(train(True), train(False)))
"""

NOTEBOOK = """
import asyncio

begin = '''
import os, carbonshift.training
os.environ["CARBONSHIFT_CONTROL"] = {control!r}
carbonshift.training.session(job="notebook")
def fresh():
    torch.manual_seed(0)
    model = net(4, 8, 1)
    return model, torch.optim.AdamW(model.parameters()), []
model, optimizer, losses = fresh()
'''
go_on = '''
while len(losses) < 4:
    losses.append(model(torch.randn(2, 4)).square().mean())
    losses[-1].backward()
    optimizer.step()
'''
again = '''
first = bits(losses, model)
model, optimizer, losses = fresh()
'''
end = 'print(verdict(first, bits(losses, model)))'

async def kernel():
    for cell in (begin, go_on, go_on, again, go_on, end):
        try:
            exec(compile(cell, "cell", "exec"), globals())
        except KeyboardInterrupt:
            print("interrupted")

asyncio.new_event_loop().run_until_complete(kernel())
"""


@contextmanager
def running(command, environment, typed=None):
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if typed is not None:
                process.stdin.write(typed)
                process.stdin.flush()
            yield process
        finally:
            process.kill()


def pause_at_each(agent, steps):
    """Of a process that has just joined with target 0."""
    for step in range(1, steps + 1):
        agent.release(step)
        agent.quiet(step)
    agent.release(RUN)


def printed(process):
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "carbonshift:" in err) == (0, False), err
    return out


def test_accumulation_several_optimizers_closures_and_a_compiled_model(agent):
    """Paused after each of 20 steps; between a GAN's two as well. The closures of one LBFGS step are one step."""
    environment = training_environment(agent.path, os.environ, "job")
    with running([sys.executable, "-c", HEAD + SHAPES_OF_A_STEP], environment) as process:
        agent.admit(target=0)
        pause_at_each(agent, 20)
        assert printed(process) == "accumulated same gan same lbfgs same compiled same\n"
    assert agent.words[STEP] == 2 * (4 + 8 + 4 + 4)


def test_workers_of_a_loader_live_through_pauses_and_join_no_agent(agent, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(HEAD + WORKERS)
    with running([sys.executable, str(script)], training_environment(agent.path, os.environ, "job")) as process:
        agent.admit(target=0)
        for step in (1, 2, 3, 4, 9, 10, 11, 12):  # not while it trains for the second time
            agent.release(step)
            agent.quiet(step)
        agent.release(RUN)
        assert printed(process) == "fork same\nspawn same\n"
    assert agent.words[STEP] == 16
    agent.listener.settimeout(0)
    with pytest.raises(BlockingIOError):  # nobody else has come
        agent.listener.accept()


def test_a_step_taken_in_a_debugger_may_pause(agent, tmp_path):
    """`next` goes over the very line that pauses."""
    script = tmp_path / "train.py"
    script.write_text(HEAD + IN_A_DEBUGGER)
    typed = "next\nnext\np len(losses) == 2, 'over it'\ncontinue\n"
    environment = training_environment(agent.path, os.environ, "job")
    with running([sys.executable, str(script)], environment, typed) as process:
        agent.admit(target=0)
        pause_at_each(agent, 4)
        out = printed(process)
    assert out.index("-> optimizer.step()") < out.index("(True, 'over it')") < out.index("same\n")
    assert agent.words[STEP] == 8


def test_a_cell_of_a_notebook_is_interrupted_in_its_pause_and_gone_on_with(agent):
    """No launcher: a cell names the agent. Cells run inside the kernel's event loop."""
    with running([sys.executable, "-c", HEAD + NOTEBOOK.replace("{control!r}", repr(str(agent.path)))], None) as kernel:
        agent.admit(target=2)
        assert agent.hello.job == "notebook"
        agent.quiet(2)
        kernel.send_signal(signal.SIGINT)
        while agent.words[ACK] != 3:  # the next cell has taken a step, and found the target still behind it
            assert agent.process.recv(256), "the kernel is gone"
        agent.quiet(3)
        agent.release(RUN)
        assert printed(kernel) == "interrupted\nsame\n"
    assert agent.words[STEP] == 8
